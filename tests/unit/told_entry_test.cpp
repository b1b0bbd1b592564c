// SPDX-License-Identifier: GPL-2.0-or-later
// Entries of which an event tells, by the attributes that the ipset command sends.
#include <arpa/inet.h>
#include <endian.h>
#include <gmock/gmock.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>

#include "lib/sets/message.h"

namespace synward {
namespace {

class ToldEntryTest : public testing::Test {
  protected:
    ToldEntryTest() { message_ = mnl_nlmsg_put_header(buffer_); }
    void address(std::uint16_t type, const char* text) {
        const Address a = *Address::parse(text);
        nlattr* nest = mnl_attr_nest_start(message_, type);
        mnl_attr_put(
            message_,
            (a.family == SW_IPV4 ? IPSET_ATTR_IPADDR_IPV4 : IPSET_ATTR_IPADDR_IPV6) | NLA_F_NET_BYTEORDER,
            a.bits() / 8, a.bytes.data());
        mnl_attr_nest_end(message_, nest);
    }
    void mark(std::uint32_t value, std::uint32_t mask) {
        mnl_attr_put_u64(message_, IPSET_ATTR_SKBMARK | NLA_F_NET_BYTEORDER,
                         htobe64(std::uint64_t{value} << 32 | mask));
    }
    void number(std::uint16_t type, std::uint32_t value) {
        mnl_attr_put_u32(message_, type | NLA_F_NET_BYTEORDER, htonl(value));
    }
    void port(std::uint16_t type, std::uint16_t value) {
        mnl_attr_put_u16(message_, type | NLA_F_NET_BYTEORDER, htons(value));
    }
    void byte(std::uint16_t type, std::uint8_t value) { mnl_attr_put_u8(message_, type, value); }
    std::optional<SetEntry> read(SetHeader header) {
        return read_told_entry(header, {static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message_)),
                                        mnl_nlmsg_get_payload_len(message_)});
    }
    static SetHeader header(SetKind kind, sw_family family = SW_IPV4) {
        SetHeader header;
        header.kind = kind;
        header.family = family;
        header.skbinfo = true;
        return header;
    }

    char buffer_[1024] = {};
    nlmsghdr* message_;
};

TEST_F(ToldEntryTest, AnAddressWithAMark) {
    address(IPSET_ATTR_IP, "192.0.2.7");
    mark(0xd, 0xff);
    number(IPSET_ATTR_TIMEOUT, 60);
    mnl_attr_put_strz(message_, IPSET_ATTR_COMMENT, "a bot");
    number(IPSET_ATTR_CADT_LINENO, 0);
    for (const SetKind kind : {SetKind::ip, SetKind::net}) {
        const auto entry = read(header(kind));
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->prefix.to_string(), "192.0.2.7");
        EXPECT_EQ(entry->mark, 0xdu);
        EXPECT_EQ(entry->mask, 0xffu);
        EXPECT_FALSE(entry->nomatch);
    }
    EXPECT_FALSE(read(header(SetKind::ip, SW_IPV6))) << "of the other family";
    EXPECT_FALSE(read(header(SetKind::ip_mark)));
    EXPECT_FALSE(read(header(SetKind::net_iface)));
    EXPECT_FALSE(read(header(SetKind::list)));
    EXPECT_FALSE(read(header(SetKind::other)));
    SetHeader odd = header(SetKind::ip);
    odd.netmask = 24;
    EXPECT_FALSE(read(odd)) << "the kernel adds 192.0.2.0";
    odd = header(SetKind::ip);
    odd.bitmask = Address::parse("255.0.255.0");
    EXPECT_FALSE(read(odd));
    odd = header(SetKind::ip);
    odd.forceadd = true;
    EXPECT_FALSE(read(odd)) << "another one may have gone";
}

TEST_F(ToldEntryTest, ANetwork) {
    address(IPSET_ATTR_IP, "2001:db8::1");
    byte(IPSET_ATTR_CIDR, 64);
    number(IPSET_ATTR_CADT_FLAGS, IPSET_FLAG_NOMATCH);
    const auto entry = read(header(SetKind::net, SW_IPV6));
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->prefix.to_string(), "2001:db8::/64");
    EXPECT_TRUE(entry->nomatch);
    EXPECT_EQ(entry->mask, 0u);
    EXPECT_FALSE(read(header(SetKind::ip, SW_IPV6))) << "each address of it";
}

TEST_F(ToldEntryTest, ARange) {
    address(IPSET_ATTR_IP, "192.0.2.7");
    address(IPSET_ATTR_IP_TO, "192.0.2.9");
    EXPECT_FALSE(read(header(SetKind::ip)));
    EXPECT_FALSE(read(header(SetKind::net)));
}

TEST_F(ToldEntryTest, APort) {
    address(IPSET_ATTR_IP, "192.0.2.7");
    port(IPSET_ATTR_PORT, 443);
    byte(IPSET_ATTR_PROTO, IPPROTO_TCP);
    for (const SetKind kind : {SetKind::ip_port, SetKind::net_port}) {
        const auto entry = read(header(kind));
        ASSERT_TRUE(entry);
        EXPECT_EQ(entry->port, 443);
        EXPECT_EQ(entry->protocol, IPPROTO_TCP);
    }
    port(IPSET_ATTR_PORT_TO, 445);
    EXPECT_FALSE(read(header(SetKind::ip_port)));
}

TEST_F(ToldEntryTest, AProtocolWithoutPorts) {
    address(IPSET_ATTR_IP, "192.0.2.7");
    port(IPSET_ATTR_PORT, 1);
    byte(IPSET_ATTR_PROTO, IPPROTO_ICMP);
    EXPECT_FALSE(read(header(SetKind::ip_port)));
}

TEST_F(ToldEntryTest, NothingThatIsBroken) {
    EXPECT_FALSE(read(header(SetKind::ip))) << "no address";
    address(IPSET_ATTR_IP, "192.0.2.7");
    byte(IPSET_ATTR_CIDR, 33);
    EXPECT_FALSE(read(header(SetKind::net)));
}

TEST_F(ToldEntryTest, NoNetworkOfEverything) {
    address(IPSET_ATTR_IP, "0.0.0.0");
    byte(IPSET_ATTR_CIDR, 0);
    EXPECT_FALSE(read(header(SetKind::net)));
}

}  // namespace
}  // namespace synward
