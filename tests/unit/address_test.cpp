// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/address.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace synward {
namespace {

TEST(Address, ReadsBothFamiliesAndPrintsThemBack) {
    for (const char* text :
         {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "::ffff:192.0.2.1"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->to_string(), text);
    }
}

TEST(Address, RefusesWhatIsNotOneAddress) {
    for (const char* text : {"", " 192.0.2.1", "192.0.2.1 ", "192.0.2", "192.0.2.256", "192.0.2.1/24",
                             "2001:db8::1%eth0", "localhost", "1:2:3:4:5:6:7:8:9", "2001:db8:::1",
                             "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"})
        EXPECT_FALSE(Address::parse(text)) << text;
    EXPECT_FALSE(Address::parse(std::string_view("192.0.2.1\0", 10)));
}

TEST(Address, MapsIpv4AndBack) {
    const auto address = Address::parse("192.0.2.1");
    const auto mapped = address->mapped();
    std::uint8_t raw[16];
    std::copy(mapped.begin(), mapped.end(), raw);
    EXPECT_EQ(raw[10], 0xff);
    EXPECT_EQ(raw[11], 0xff);
    EXPECT_EQ(raw[12], 192);
    EXPECT_EQ(raw[15], 1);
    EXPECT_EQ(Address::from_mapped(raw), *address);

    const auto six = Address::parse("2001:db8::1");
    const auto same = six->mapped();
    std::copy(same.begin(), same.end(), raw);
    EXPECT_EQ(Address::from_mapped(raw), *six);
}

TEST(Prefix, ReadsPrefixesAndHosts) {
    EXPECT_EQ(Prefix::parse("192.0.2.0/24")->length, 24u);
    EXPECT_EQ(Prefix::parse("0.0.0.0/0")->length, 0u);
    EXPECT_EQ(Prefix::parse("2001:db8::/32")->to_string(), "2001:db8::/32");
    EXPECT_TRUE(Prefix::parse("192.0.2.7")->is_host());
    EXPECT_EQ(Prefix::parse("192.0.2.7/32")->to_string(), "192.0.2.7");
}

TEST(Prefix, RefusesBadLengthsAndTellsHostBits) {
    for (const char* text :
         {"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/24x", "2001:db8::/129", "/8"}) {
        bool host_bits = true;
        EXPECT_FALSE(Prefix::parse(text, &host_bits)) << text;
        EXPECT_FALSE(host_bits) << text;
    }
    bool host_bits = false;
    EXPECT_FALSE(Prefix::parse("192.0.2.1/24", &host_bits));
    EXPECT_TRUE(host_bits);
    EXPECT_FALSE(Prefix::parse("2001:db8::1/64", &host_bits));
    EXPECT_TRUE(host_bits);
}

TEST(Prefix, ContainsByBitsOfItsOwnFamily) {
    const auto prefix = *Prefix::parse("198.18.128.0/17");
    EXPECT_TRUE(prefix.contains(*Address::parse("198.18.128.0")));
    EXPECT_TRUE(prefix.contains(*Address::parse("198.18.255.255")));
    EXPECT_FALSE(prefix.contains(*Address::parse("198.18.127.255")));
    EXPECT_FALSE(prefix.contains(*Address::parse("c612:8000::")));
    EXPECT_TRUE(Prefix::parse("0.0.0.0/0")->contains(*Address::parse("203.0.113.9")));
}

TEST(Endpoint, IsAnAddressAndAPortAsInAUrl) {
    for (const char* text : {"127.0.0.1:9478", "192.0.2.1:1", "[::1]:65535", "[2001:db8::7]:80"}) {
        const auto endpoint = Endpoint::parse(text);
        ASSERT_TRUE(endpoint) << text;
        EXPECT_EQ(endpoint->to_string(), text);
    }
    EXPECT_EQ(Endpoint::parse("[::1]:80")->address.family, SW_IPV6);
    for (const char* text : {"", ":", ":80", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                             "127.0.0.1:65536", "127.0.0.1:80x", "127.0.0.1:+8", "[127.0.0.1]:80", "::1:80",
                             "::1", "[::1]", "[::1:80", "localhost:80", " 127.0.0.1:80", "127.0.0.1: 80"})
        EXPECT_FALSE(Endpoint::parse(text)) << text;
}

}  // namespace
}  // namespace synward
