// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/entry_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace synward {
namespace {

using testing::HasSubstr;

SetHeader header(SetKind kind, sw_family family = SW_IPV4) {
    SetHeader set;
    set.name = "blocked";
    set.type = set_kind_type(kind);
    set.kind = kind;
    if (kind != SetKind::list) set.family = family;
    set.skbinfo = set.timeout = set.counters = set.comment = true;
    return set;
}

EntryPlace place(const char* source) {
    return {*Prefix::parse(source), std::nullopt, ""};
}

std::string mistake(const Result<std::string>& result) {
    return result ? "" : result.error().message;
}

TEST(EntryWords, Source) {
    EXPECT_EQ(parse_entry_source("203.0.113.7")->to_string(), "203.0.113.7");
    EXPECT_EQ(parse_entry_source("2001:db8::/32")->to_string(), "2001:db8::/32");
    EXPECT_THAT(parse_entry_source("203.0.113.7/24").error().message,
                HasSubstr("the network is 203.0.113.0/24"));
    EXPECT_THAT(parse_entry_source("2001:db8::1/33").error().message,
                HasSubstr("the network is 2001:db8::/33"));
    EXPECT_THAT(parse_entry_source("::ffff:192.0.2.1").error().message, HasSubstr("IPv4"));
    EXPECT_TRUE(parse_entry_source("::/0"));
    for (const char* text : {"", "x", "203.0.113.0/33", "203.0.113.0/", "203.0.113.7,80", "203.0.113.7 "})
        EXPECT_FALSE(parse_entry_source(text)) << text;
}

TEST(EntryWords, Port) {
    EXPECT_EQ(*parse_port_word("80"), (PortWord{IPPROTO_TCP, 80}));
    EXPECT_EQ(*parse_port_word("udp:53"), (PortWord{IPPROTO_UDP, 53}));
    for (const char* text : {"", "0", "65536", "icmp:8", "udp", "udp:", ":80", "80-90", "-1", " 80"})
        EXPECT_FALSE(parse_port_word(text)) << text;
    EXPECT_EQ(port_word_text({IPPROTO_SCTP, 9}), "sctp:9");
    EXPECT_EQ(port_word_text({47, 9}), "gre:9");
}

TEST(EntryWords, FatesByNameAndNumber) {
    Fates fates;
    ASSERT_TRUE(fates.add({"slow", 0x20, FateVerdict::go_on}));
    EXPECT_EQ(*parse_fate_word("deny", fates), SW_MARK_DENY);
    EXPECT_EQ(*parse_fate_word("slow", fates), 0x20);
    EXPECT_EQ(*parse_fate_word("0x20", fates), 0x20);
    EXPECT_EQ(*parse_fate_word("0x0a", fates), SW_MARK_ALLOW);
    EXPECT_EQ(*parse_fate_word("0x33", fates), 0x33) << "one that a [[fate]] may have";
    EXPECT_EQ(*parse_fate_word("0x0", fates), 0) << "no fate";
    EXPECT_THAT(parse_fate_word("fast", fates).error().message,
                HasSubstr("there are deny, allow, accept, slow"));
    // Of the program's own, and beyond the class byte.
    for (const char* text : {"0x1", "0x2", "0xf", "0x100", "0x", "0xzz", "32", ""})
        EXPECT_FALSE(parse_fate_word(text, fates)) << text;
    EXPECT_EQ(fate_word(0x20, fates), "slow");
    EXPECT_EQ(fate_word(0, fates), "none");
    EXPECT_EQ(fate_word(0x33, fates), "0x33");
}

TEST(EntryWords, PlaceOfEachType) {
    EXPECT_EQ(*entry_word(header(SetKind::net), place("203.0.113.0/24")), "203.0.113.0/24");
    EXPECT_EQ(*entry_word(header(SetKind::ip), place("203.0.113.7")), "203.0.113.7");
    EntryPlace with_port = place("2001:db8::/32");
    with_port.port = PortWord{IPPROTO_UDP, 53};
    EXPECT_EQ(*entry_word(header(SetKind::net_port, SW_IPV6), with_port), "2001:db8::/32,udp:53");
    EntryPlace by_interface = place("0.0.0.0/0");
    by_interface.interface = "eth0";
    EXPECT_EQ(*entry_word(header(SetKind::net_iface), by_interface), "0.0.0.0/0,eth0");
    by_interface.interface = "eth0,x";
    EXPECT_THAT(mistake(entry_word(header(SetKind::net_iface), by_interface)),
                HasSubstr("no name of an interface"));
}

TEST(EntryWords, WhatDoesNotFitIsRefused) {
    EXPECT_THAT(mistake(entry_word(header(SetKind::ip), place("203.0.113.0/24"))),
                HasSubstr("single addresses"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::net), place("0.0.0.0/0"))),
                HasSubstr("0.0.0.0/1 and 128.0.0.0/1"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::net, SW_IPV6), place("::/0"))),
                HasSubstr("::/1 and 8000::/1"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::net), place("2001:db8::1"))),
                HasSubstr("of family inet "));
    EXPECT_THAT(mistake(entry_word(header(SetKind::net_port), place("203.0.113.7"))),
                HasSubstr("give --port"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::net_iface), place("203.0.113.7"))),
                HasSubstr("--interface"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::list), place("203.0.113.7"))), HasSubstr("members"));
    EXPECT_THAT(mistake(entry_word(header(SetKind::ip_mark), place("203.0.113.7"))),
                HasSubstr("packet mark"));
    EntryPlace with_port = place("203.0.113.7");
    with_port.port = PortWord{IPPROTO_TCP, 80};
    EXPECT_THAT(mistake(entry_word(header(SetKind::net), with_port)), HasSubstr("leave out --port"));
    SetHeader bare = header(SetKind::net);
    bare.skbinfo = false;
    const auto refused = entry_word(bare, place("203.0.113.7"));
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("skbinfo"));
    EXPECT_EQ(refused.error().code, ErrorCode::mismatch);
}

TEST(EntryWords, Add) {
    const SetHeader set = header(SetKind::net);
    using namespace std::chrono_literals;
    EXPECT_EQ(*add_command(set, place("203.0.113.7"), {SW_MARK_DENY, 600s, "scans ssh"}),
              "add blocked 203.0.113.7 timeout 600 skbmark 0xd/0xff comment \"scans ssh\" -exist");
    EXPECT_EQ(*add_command(set, place("203.0.113.7"), {SW_MARK_ALLOW, 0s, ""}),
              "add blocked 203.0.113.7 timeout 0 skbmark 0xa/0xff -exist");
    SetHeader lasting = set;
    lasting.timeout = lasting.comment = false;
    EXPECT_EQ(*add_command(lasting, place("203.0.113.7"), {SW_MARK_DENY, 0s, ""}),
              "add blocked 203.0.113.7 skbmark 0xd/0xff -exist");
    EXPECT_THAT(mistake(add_command(lasting, place("203.0.113.7"), {SW_MARK_DENY, 1s, ""})),
                HasSubstr("without timeout"));
    EXPECT_THAT(mistake(add_command(lasting, place("203.0.113.7"), {SW_MARK_DENY, 0s, "x"})),
                HasSubstr("without comment"));
    EXPECT_TRUE(add_command(set, place("203.0.113.7"), {SW_MARK_DENY, set_timeout_most, ""}));
    EXPECT_FALSE(add_command(set, place("203.0.113.7"), {SW_MARK_DENY, set_timeout_most + 1s, ""}));
    // Nothing in a comment becomes another word of the command.
    for (const char* comment : {"a\" timeout 9", "a\\", "a\nadd x", "\x7f"})
        EXPECT_FALSE(add_command(set, place("203.0.113.7"), {SW_MARK_DENY, 0s, comment})) << comment;
    EXPECT_FALSE(add_command(set, place("203.0.113.7"), {SW_MARK_DENY, 0s, std::string(256, 'a')}));
}

TEST(EntryWords, Restore) {
    SetEntry entry;
    entry.prefix = *Prefix::parse("203.0.113.0/24");
    entry.mark = 0x20;
    entry.mask = 0xff;
    entry.timeout = 7;
    entry.packets = 3;
    entry.bytes = 180;
    entry.text = "old";
    EXPECT_EQ(
        restore_command(header(SetKind::net), entry),
        "add blocked 203.0.113.0/24 timeout 7 packets 3 bytes 180 comment \"old\" skbmark 0x20/0xff -exist");
    entry.interface = "eth";
    entry.wildcard = entry.nomatch = true;
    entry.priority = 0x1000a;
    entry.queue = 2;
    // Nothing in a comment becomes another word of the command.
    entry.text = "a\" timeout 9\nadd";
    EXPECT_EQ(entry_word(SetKind::net_iface, entry), "203.0.113.0/24,eth wildcard");
    EXPECT_EQ(restore_command(header(SetKind::net_iface), entry),
              "add blocked 203.0.113.0/24,eth timeout 7 nomatch wildcard packets 3 bytes 180 comment \"a' "
              "timeout 9 add\" skbmark 0x20/0xff skbprio 1:a skbqueue 2 -exist");
    // The set knows its netmask.
    EXPECT_THAT(save_line(header(SetKind::ip), entry), HasSubstr("203.0.113.0 timeout"));
    entry.packet_mark = 0x700;
    EXPECT_THAT(save_line(header(SetKind::ip_mark), entry), HasSubstr("203.0.113.0,0x00000700 timeout"));
}

TEST(EntryWords, ServicesAreThoseOfIpset) {
    EXPECT_EQ(port_word_text({IPPROTO_UDPLITE, 7}), "udplite:7");
    EXPECT_EQ(port_word_text({IPPROTO_GRE, 0}), "gre:0");
    EXPECT_EQ(port_word_text({253, 0}), "253:0");
    EXPECT_EQ(port_word_text({IPPROTO_ICMP, 8 << 8}), "icmp:echo-request");
    EXPECT_EQ(port_word_text({IPPROTO_ICMP, 3 << 8 | 8}), "icmp:3/8");
    EXPECT_EQ(port_word_text({IPPROTO_ICMPV6, 135 << 8}), "ipv6-icmp:neighbour-solicitation");
}

TEST(EntryWords, Create) {
    EXPECT_EQ(
        create_command("a", SetKind::net, SW_IPV6),
        "create a hash:net family inet6 maxelem 1048576 bucketsize 8 timeout 0 counters comment skbinfo");
    EXPECT_EQ(create_command("a", SetKind::list, SW_IPV4), "create a list:set")
        << "a list with skbinfo would hide the marks of its members";
    EXPECT_THAT(create_command("a", SetKind::ip_mark, SW_IPV4), HasSubstr("markmask 0xffffff00"));
    EXPECT_TRUE(check_set_name("synward4"));
    for (const char* name : {"", "-x", "a b", "a\"b", "a,b", "12345678901234567890123456789012"})
        EXPECT_FALSE(check_set_name(name)) << name;
}

}  // namespace
}  // namespace synward
