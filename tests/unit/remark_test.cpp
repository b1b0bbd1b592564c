// SPDX-License-Identifier: GPL-2.0-or-later
// Marks of connections that exist: real conntrack entries, made and looked at with the
// conntrack command.
#include "lib/classify/remark.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <map>
#include <random>

#include "namespace.h"

namespace synward {
namespace {

using testing::HasSubstr;
using testing::Not;

Prefix prefix(const char* text) {
    const auto parsed = Prefix::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(Prefix{});
}

std::vector<Prefix> prefixes(std::initializer_list<const char*> texts) {
    std::vector<Prefix> list;
    for (const char* text : texts) list.push_back(prefix(text));
    return list;
}

Address address(const char* text) {
    return prefix(text).address;
}

TEST(CoveredAddressesTest, BothFamiliesAndNestedPrefixes) {
    const CoveredAddresses covered(prefixes(
        {"198.18.4.0/24", "198.18.0.0/16", "198.18.4.7", "203.0.113.9", "2001:db8::/32", "2001:db8:1::1"}));
    EXPECT_TRUE(covered.any(SW_IPV4));
    EXPECT_TRUE(covered.any(SW_IPV6));
    for (const char* inside : {"198.18.0.0", "198.18.255.255", "198.18.4.7", "198.18.4.8", "203.0.113.9",
                               "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"})
        EXPECT_TRUE(covered.contains(address(inside))) << inside;
    for (const char* outside :
         {"198.17.255.255", "198.19.0.0", "203.0.113.8", "203.0.113.10", "2001:db7::", "2001:db9::", "::"})
        EXPECT_FALSE(covered.contains(address(outside))) << outside;
    EXPECT_FALSE(CoveredAddresses({}).any(SW_IPV4));
    EXPECT_FALSE(CoveredAddresses({}).contains(address("198.18.0.1")));
    const CoveredAddresses all(prefixes({"0.0.0.0/0", "10.0.0.0/8"}));
    EXPECT_TRUE(all.contains(address("255.255.255.255")));
    EXPECT_FALSE(all.contains(address("::1")));
}

TEST(CoveredAddressesTest, ItSaysWhatEachPrefixSays) {
    std::mt19937 random(7);
    for (int round = 0; round < 200; round++) {
        std::vector<Prefix> list;
        for (unsigned i = random() % 12; i > 0; i--) {
            Prefix made{{SW_IPV4, {198, 18}}, 16 + static_cast<unsigned>(random() % 17)};
            const auto low = static_cast<std::uint16_t>(random() & 0x0f0f & (0xffff << (32 - made.length)));
            made.address.bytes[2] = static_cast<std::uint8_t>(low >> 8);
            made.address.bytes[3] = static_cast<std::uint8_t>(low);
            list.push_back(made);
        }
        const CoveredAddresses covered(list);
        for (int i = 0; i < 200; i++) {
            Address asked{SW_IPV4,
                          {198, 18, static_cast<std::uint8_t>(random() & 0x0f),
                           static_cast<std::uint8_t>(random() & 0x1f)}};
            const bool expected =
                std::any_of(list.begin(), list.end(), [&](const Prefix& p) { return p.contains(asked); });
            ASSERT_EQ(covered.contains(asked), expected) << asked.to_string();
        }
    }
}

TEST(ClassAfterTest, OnlyFatesOfSetsGoAway) {
    EXPECT_EQ(class_after(0, std::nullopt, 0), 0);
    EXPECT_EQ(class_after(1, std::nullopt, 0), 1);
    EXPECT_EQ(class_after(0x0d, std::nullopt, 0), 0);
    EXPECT_EQ(class_after(0x20, std::nullopt, 0), 0);
    EXPECT_EQ(class_after(1, 0x0d, 0), 0x0d);
    EXPECT_EQ(class_after(0x0d, 0x0a, 0), 0x0a);
    EXPECT_EQ(class_after(0x0d, 0, 0), 0);
}

TEST(ClassAfterTest, WhatTheDecidersGaveStays) {
    EXPECT_EQ(class_after(0x20, std::nullopt, 0x20), 0x20);
    EXPECT_EQ(class_after(0x21, std::nullopt, 0x20), 0);
    EXPECT_EQ(class_after(1, std::nullopt, 0x20), 1);
    EXPECT_EQ(class_after(0, std::nullopt, 0x20), 0);
    EXPECT_EQ(class_after(0x20, 0x0d, 0x20), 0x0d) << "a set says otherwise";
}

// A message of ctnetlink as the kernel writes it.
class Message {
  public:
    Message() : header_(mnl_nlmsg_put_header(space_.data())) {
        header_->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
        mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg));
    }
    Message& tuple(std::uint16_t type, const char* source, const char* destination, std::uint16_t from,
                   std::uint16_t to) {
        const Address addresses[]{*Address::parse(source), *Address::parse(destination)};
        const bool four = addresses[0].family == SW_IPV4;
        nlattr* whole = mnl_attr_nest_start(header_, type);
        nlattr* ip = mnl_attr_nest_start(header_, CTA_TUPLE_IP);
        mnl_attr_put(header_, four ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, four ? 4 : 16, addresses[0].bytes.data());
        mnl_attr_put(header_, four ? CTA_IP_V4_DST : CTA_IP_V6_DST, four ? 4 : 16, addresses[1].bytes.data());
        mnl_attr_nest_end(header_, ip);
        nlattr* protocol = mnl_attr_nest_start(header_, CTA_TUPLE_PROTO);
        mnl_attr_put_u8(header_, CTA_PROTO_NUM, IPPROTO_TCP);
        mnl_attr_put_u16(header_, CTA_PROTO_SRC_PORT, htons(from));
        mnl_attr_put_u16(header_, CTA_PROTO_DST_PORT, htons(to));
        mnl_attr_nest_end(header_, protocol);
        mnl_attr_nest_end(header_, whole);
        return *this;
    }
    Message& number(std::uint16_t type, std::uint32_t value) {
        mnl_attr_put_u32(header_, type, htonl(value));
        return *this;
    }
    [[nodiscard]] Connection read() const {
        const auto connection = read_connection(header_);
        EXPECT_TRUE(connection);
        return connection.value_or(Connection{});
    }

  private:
    alignas(nlmsghdr) std::array<char, 512> space_{};
    nlmsghdr* header_;
};

TEST(ReadConnectionTest, AnExpectedConnectionIsJudgedByItsMaster) {
    const auto compose = [](std::uint32_t status) {
        Message message;
        message.tuple(CTA_TUPLE_ORIG, "192.0.2.1", "198.18.1.1", 20, 40001)
            .tuple(CTA_TUPLE_REPLY, "198.18.1.1", "192.0.2.1", 40001, 20)
            .number(CTA_STATUS, status)
            .number(CTA_MARK, 0x120b)
            .tuple(CTA_TUPLE_MASTER, "198.18.1.1", "192.0.2.1", 40000, 21);
        return message.read();
    };
    const Connection expected = compose(IPS_EXPECTED | IPS_CONFIRMED | IPS_SEEN_REPLY);
    EXPECT_EQ(expected.source, address("198.18.1.1"));
    EXPECT_EQ(expected.destination, address("192.0.2.1"));
    EXPECT_EQ(expected.source_port, 40000);
    EXPECT_EQ(expected.destination_port, 21);
    EXPECT_EQ(expected.mark, 0x120bU) << "its own";
    const Connection other = compose(IPS_CONFIRMED | IPS_SEEN_REPLY);
    EXPECT_EQ(other.source, address("192.0.2.1"));
    EXPECT_EQ(other.destination_port, 40001);
    Message six;
    six.tuple(CTA_TUPLE_ORIG, "2001:db8::1", "2001:db8::2", 5, 6)
        .number(CTA_STATUS, IPS_EXPECTED)
        .tuple(CTA_TUPLE_MASTER, "2001:db8::3", "2001:db8::2", 7, 21);
    EXPECT_EQ(six.read().source, address("2001:db8::3"));
    Message alone;  // a kernel that does not tell
    alone.tuple(CTA_TUPLE_ORIG, "198.18.1.1", "192.0.2.1", 5, 6).number(CTA_STATUS, IPS_EXPECTED);
    EXPECT_EQ(alone.read().source, address("198.18.1.1"));
}

TEST(ReadConnectionTest, WhatIsNotWholeIsNone) {
    // Every message that is cut off somewhere, and every one with a wrong byte: no crash.
    std::array<char, 512> space{};
    nlmsghdr* message = mnl_nlmsg_put_header(space.data());
    message->nlmsg_type = 1 << 8;
    mnl_nlmsg_put_extra_header(message, 4);
    EXPECT_FALSE(read_connection(message));
    std::mt19937 random(3);
    for (int i = 0; i < 20000; i++) {
        message->nlmsg_len = 16 + static_cast<std::uint32_t>(random() % 200);
        for (unsigned j = 20; j < message->nlmsg_len; j++)
            space[j] = static_cast<char>(random() % 4 ? random() % 24 : random());
        (void)read_connection(message);
    }
}

class RemarkTest : public testing::Test {
  protected:
    RemarkTest() {
        auto opened = Remarker::open();
        EXPECT_TRUE(opened) << opened.error().message;
        if (opened) remarker_.emplace(std::move(*opened));
    }
    static void make(const char* source, const char* destination, int port, unsigned mark,
                     const char* more = "") {
        run("conntrack -I -p tcp -t 1000 --state ESTABLISHED -u SEEN_REPLY,ASSURED -s " +
            std::string(source) + " -d " + destination + " --sport 40000 --dport " + std::to_string(port) +
            " -m " + std::to_string(mark) + " " + more);
    }
    static std::string mark(const char* source, const char* family = "ipv4") {
        return output("conntrack -L -f " + std::string(family) + " -s " + source +
                      " 2>&- | grep -o 'mark=[0-9]*' | tr '\\n' ' '");
    }
    Remarker::Counts run_for(std::vector<Prefix> covered, const std::map<Address, std::uint8_t>& says) {
        const auto counts = remarker_->run(CoveredAddresses(std::move(covered)), [&](const Connection& c) {
            const auto found = says.find(c.source);
            return Remarker::Answer{found == says.end() ? std::nullopt : std::optional(found->second), false};
        });
        EXPECT_TRUE(counts) << counts.error().message;
        return counts.value_or(Remarker::Counts{});
    }

    TestNamespace space_;
    std::optional<Remarker> remarker_;
};

TEST_F(RemarkTest, OnlyTheClassByteOfWhatIsCoveredChanges) {
    make("198.18.1.1", "198.18.0.1", 80, 0x12345600);
    make("198.18.1.2", "198.18.0.1", 80, 0x12345601);
    make("198.18.1.3", "198.18.0.1", 80, 0xab0d);
    make("198.18.2.1", "198.18.0.1", 80, 0x0d);
    make("2001:db8::1", "2001:db8::2", 443, 0x100);
    const auto deny = std::map<Address, std::uint8_t>{
        {address("198.18.1.1"), 0x0d}, {address("198.18.1.2"), 0x0d}, {address("2001:db8::1"), 0x0d}};
    auto counts = run_for(prefixes({"198.18.1.0/24"}), deny);
    EXPECT_EQ(counts.connections, 4u);
    EXPECT_EQ(counts.concerned, 3u);
    EXPECT_EQ(counts.changed, 3u);
    EXPECT_EQ(mark("198.18.1.1"), "mark=305419789 ");  // 0x1234560d
    EXPECT_EQ(mark("198.18.1.2"), "mark=305419789 ");
    EXPECT_EQ(mark("198.18.1.3"), "mark=43776 ");  // 0xab00: in no set any more
    EXPECT_EQ(mark("198.18.2.1"), "mark=13 ") << "not covered";
    EXPECT_EQ(mark("2001:db8::1", "ipv6"), "mark=256 ");
    counts = run_for(prefixes({"198.18.1.0/24", "2001:db8::/64"}), deny);
    EXPECT_EQ(counts.changed, 1u) << "only what is not as it should be";
    EXPECT_EQ(mark("2001:db8::1", "ipv6"), "mark=269 ");  // 0x10d
}

TEST_F(RemarkTest, TheOriginalDirectionIsAskedFor) {
    run("conntrack -I -p udp -t 1000 -s 198.18.1.1 -d 203.0.113.1 --sport 5 --dport 53 "
        "-r 192.0.2.1 -q 198.18.1.1 --reply-port-src 5353 --reply-port-dst 5");
    std::vector<Connection> asked;
    const auto counts = remarker_->run(CoveredAddresses(prefixes({"0.0.0.0/0"})), [&](const Connection& c) {
        asked.push_back(c);
        return Remarker::Answer{std::nullopt, true};
    });
    ASSERT_TRUE(counts) << counts.error().message;
    EXPECT_EQ(counts->unclear, 1u);
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].source, address("198.18.1.1"));
    EXPECT_EQ(asked[0].destination, address("203.0.113.1"));
    EXPECT_EQ(asked[0].protocol, IPPROTO_UDP);
    EXPECT_EQ(asked[0].source_port, 5);
    EXPECT_EQ(asked[0].destination_port, 53);
}

TEST_F(RemarkTest, ZonesAndOtherProtocols) {
    make("198.18.1.1", "198.18.0.1", 80, 0);
    make("198.18.1.1", "198.18.0.1", 80, 0, "-w 5");
    run("conntrack -I -p icmp -t 1000 -s 198.18.1.1 -d 198.18.0.1 --icmp-type 8 --icmp-code 0 --icmp-id 7");
    const auto counts = run_for(prefixes({"198.18.1.1"}), {{address("198.18.1.1"), 0x20}});
    EXPECT_EQ(counts.changed, 3u);
    EXPECT_EQ(counts.gone, 0u);
    EXPECT_EQ(mark("198.18.1.1"), "mark=32 mark=32 mark=32 ");
}

TEST_F(RemarkTest, WhatTheDecidersGaveStaysInTheKernel) {
    make("198.18.1.1", "198.18.0.1", 80, 0x20);
    make("198.18.1.2", "198.18.0.1", 80, 0x21);
    const auto counts = remarker_->run(
        CoveredAddresses(prefixes({"0.0.0.0/0"})), [](const Connection&) { return Remarker::Answer{}; },
        0x20);
    ASSERT_TRUE(counts) << counts.error().message;
    EXPECT_EQ(counts->changed, 1u);
    EXPECT_EQ(mark("198.18.1.1"), "mark=32 ");
    EXPECT_EQ(mark("198.18.1.2"), "mark=0 ");
}

TEST_F(RemarkTest, MoreThanABatch) {
    run("for i in $(seq 1 4) ; do for j in $(seq 1 250); do echo \"-I -p udp -t 1000 -s 198.18.$i.$j -d "
        "198.18.0.1 "
        "--sport 5 --dport 6\"; done; done > /dev/shm/synward-remark && conntrack -R "
        "/dev/shm/synward-remark; "
        "status=$?; rm -f /dev/shm/synward-remark; exit $status");
    const auto counts = remarker_->run(CoveredAddresses(prefixes({"198.18.0.0/15"})), [](const Connection&) {
        return Remarker::Answer{0x0d, false};
    });
    ASSERT_TRUE(counts) << counts.error().message;
    EXPECT_EQ(counts->changed, 1000u);
    EXPECT_EQ(output("conntrack -L -m 13 2>&- | wc -l"), "1000\n");
}

}  // namespace
}  // namespace synward
