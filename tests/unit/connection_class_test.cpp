// SPDX-License-Identifier: GPL-2.0-or-later
// What sets say of connections whose interface nobody knows any more.
#include "lib/classify/connection_class.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include "lib/sets/contents.h"

namespace synward {
namespace {

std::shared_ptr<const SetContents> set_of(SetKind kind, const std::vector<SetEntry>& entries,
                                          sw_family family = SW_IPV4) {
    SetHeader header;
    header.name = "set";
    header.kind = kind;
    header.family = family;
    header.skbinfo = true;
    SetBuilder builder(header);
    for (const SetEntry& entry : entries) builder.add(entry);
    return std::move(builder).finish();
}

SetEntry entry(const char* prefix, std::uint32_t mark, std::string_view interface = {}) {
    SetEntry entry;
    entry.prefix = *Prefix::parse(prefix);
    entry.mark = mark;
    entry.mask = SW_MARK_CLASS_MASK;
    entry.interface = interface;
    return entry;
}

Remarker::Answer ask(const std::vector<std::shared_ptr<const SetContents>>& sets, const char* source) {
    Connection connection;
    connection.source = *Address::parse(source);
    connection.protocol = IPPROTO_TCP;
    connection.destination_port = 80;
    return class_of(SetIndex(sets), connection);
}

TEST(ConnectionClassTest, WhatEveryInterfaceGetsIsClear) {
    const auto bans = set_of(SetKind::net, {entry("198.18.0.0/16", 0x0d), entry("198.18.7.0/24", 0)});
    EXPECT_EQ(ask({bans}, "198.18.1.1").found, 0x0d);
    EXPECT_FALSE(ask({bans}, "198.18.1.1").unclear);
    EXPECT_EQ(ask({bans}, "203.0.113.1").found, std::nullopt);
    EXPECT_FALSE(ask({bans}, "203.0.113.1").unclear);
    EXPECT_EQ(ask({bans}, "198.18.7.1").found, std::nullopt) << "a class of 0 is none";
}

TEST(ConnectionClassTest, AnEntryOfAnyInterfaceMayHaveMadeTheMark) {
    const auto by_interface = set_of(
        SetKind::net_iface, {entry("198.18.1.0/24", 0x0d, "far7"), entry("198.18.0.0/16", 0x0a, "near")});
    EXPECT_TRUE(ask({by_interface}, "198.18.1.1").unclear);
    EXPECT_TRUE(ask({by_interface}, "198.18.2.1").unclear);
    EXPECT_FALSE(ask({by_interface}, "198.19.0.1").unclear) << "no entry holds it";
    // What comes first decides for all interfaces.
    const auto first = set_of(SetKind::ip, {entry("198.18.1.1", 0x0d)});
    EXPECT_EQ(ask({first, by_interface}, "198.18.1.1").found, 0x0d);
    EXPECT_FALSE(ask({first, by_interface}, "198.18.1.1").unclear);
    EXPECT_TRUE(ask({by_interface, first}, "198.18.1.2").unclear);
    // The interface makes no difference.
    EXPECT_EQ(ask({by_interface, first}, "198.18.1.1").found, 0x0d);
    EXPECT_FALSE(ask({by_interface, first}, "198.18.1.1").unclear);
}

TEST(ConnectionClassTest, WildcardsAreInterfacesToo) {
    SetEntry wildcard = entry("198.18.1.0/24", 0x0d, "eth");
    wildcard.wildcard = true;
    // The interface "eth" is another one than those that begin so.
    const auto both = set_of(SetKind::net_iface, {wildcard, entry("198.18.1.0/24", 0x0a, "eth")});
    const auto rest = set_of(SetKind::net, {entry("0.0.0.0/1", 0x0a), entry("128.0.0.0/1", 0x0a)});
    EXPECT_TRUE(ask({both, rest}, "198.18.1.1").unclear);
    // A port of a bridge is not what the marker asks for.
    SetEntry port = entry("198.18.1.0/24", 0x0d, "port0");
    port.bridge_port = true;
    EXPECT_FALSE(ask({set_of(SetKind::net_iface, {port})}, "198.18.1.1").unclear);
}

TEST(ConnectionClassTest, InAList) {
    SetHeader header;
    header.kind = SetKind::list;
    SetBuilder list(header);
    list.add_member(set_of(SetKind::net_iface, {entry("198.18.1.0/24", 0x0d, "far7")}));
    EXPECT_TRUE(ask({std::move(list).finish()}, "198.18.1.1").unclear);
}

TEST(ConnectionClassTest, WhatThePacketsMarkDecidedIsNotKnown) {
    SetEntry allowed = entry("198.18.1.1", 0x0a);
    allowed.packet_mark = 0x100;
    const auto marks = set_of(SetKind::ip_mark, {allowed});
    const auto bans = set_of(SetKind::net, {entry("198.18.1.0/24", 0x0d)});
    EXPECT_TRUE(ask({marks, bans}, "198.18.1.1").unclear) << "the ban must not cut what was allowed";
    EXPECT_TRUE(ask({marks}, "198.18.1.1").unclear);
    EXPECT_FALSE(ask({marks, bans}, "198.18.1.2").unclear) << "no entry for it";
    EXPECT_EQ(ask({marks, bans}, "198.18.1.2").found, 0x0d);
    EXPECT_FALSE(ask({marks}, "198.18.1.2").unclear);
    // What comes first decides for all packet marks.
    EXPECT_FALSE(ask({bans, marks}, "198.18.1.1").unclear);
    EXPECT_EQ(ask({bans, marks}, "198.18.1.1").found, 0x0d);
    // An entry for a packet mark of 0 is one for some packets only.
    allowed.packet_mark = 0;
    EXPECT_TRUE(ask({set_of(SetKind::ip_mark, {allowed}), bans}, "198.18.1.1").unclear);
    SetHeader header;
    header.kind = SetKind::list;
    SetBuilder list(header);
    list.add_member(marks);
    const auto in_list = std::move(list).finish();
    EXPECT_TRUE(ask({in_list, bans}, "198.18.1.1").unclear);
    EXPECT_FALSE(ask({in_list, bans}, "198.18.1.2").unclear);
}

TEST(ConnectionClassTest, ByPacketMarkIPv6) {
    const auto marks = set_of(SetKind::ip_mark, {entry("2001:db8::1", 0x0a)}, SW_IPV6);
    EXPECT_TRUE(ask({marks}, "2001:db8::1").unclear);
    EXPECT_FALSE(ask({marks}, "2001:db8::2").unclear);
    EXPECT_FALSE(ask({marks}, "198.18.1.1").unclear);
}

}  // namespace
}  // namespace synward
