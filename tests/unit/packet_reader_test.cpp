// SPDX-License-Identifier: GPL-2.0-or-later
// Packets as the transports bring them: from the IP header, and cut off somewhere.
#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "lib/escalation/event.h"

namespace synward {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint8_t fin = 0x01, syn = 0x02, ack = 0x10;
const Bytes linux_options = {2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7};

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Bytes tcp(std::uint8_t flags, const Bytes& options = {}) {
    Bytes header = {0x9c, 0x40, 0x01, 0xbb, 1, 1, 1, 1, 2, 2, 2, 2, 0, flags, 0x72, 0x10, 0, 0, 0, 0};
    header[12] = static_cast<std::uint8_t>((header.size() + options.size()) / 4 << 4);
    return header + options;
}

Bytes ipv4(const Bytes& payload, std::uint16_t fragment = 0, const Bytes& options = {}) {
    Bytes header = {0x45, 0, 0, 0, 0, 1, 0, 0, 57, 6, 0, 0, 198, 18, 0, 9, 192, 0, 2, 1};
    header[0] = static_cast<std::uint8_t>(0x40 | (20 + options.size()) / 4);
    header[6] = static_cast<std::uint8_t>(fragment >> 8);
    header[7] = static_cast<std::uint8_t>(fragment);
    return header + options + payload;
}

Bytes ipv6(std::uint8_t next, const Bytes& payload) {
    Bytes header = {0x60, 0, 0, 0, 0, 0, next, 250};
    Bytes source = {0x20, 0x01, 0x0d, 0xb8, 0, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    Bytes destination = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return header + source + destination + payload;
}

FlowEvent must_read(const Bytes& packet) {
    FlowEvent event;
    EXPECT_TRUE(read_packet(packet, event));
    return event;
}

void expect_ports(const FlowEvent& event) {
    EXPECT_EQ(event.protocol, IPPROTO_TCP);
    EXPECT_EQ(event.source_port, 40000);
    EXPECT_EQ(event.destination_port, 443);
    EXPECT_EQ(event.window, 0x7210);
}

void expect_no_tcp(const FlowEvent& event) {
    EXPECT_EQ(event.source_port, 0);
    EXPECT_EQ(event.destination_port, 0);
    EXPECT_EQ(event.tcp_flags, 0);
    EXPECT_EQ(event.window, 0);
    EXPECT_EQ(event.shape.header, 0);
}

TEST(PacketReader, AnIpv4Segment) {
    const FlowEvent event = must_read(ipv4(tcp(ack | fin)));
    EXPECT_EQ(event.family, SW_IPV4);
    EXPECT_EQ(event.source, (RawAddress{htonl(0xc6120009), 0, 0, 0}));
    EXPECT_EQ(event.destination, (RawAddress{htonl(0xc0000201), 0, 0, 0}));
    EXPECT_EQ(event.ttl, 57);
    EXPECT_EQ(event.tcp_flags, ack | fin);
    EXPECT_EQ(event.shape.header, 0) << "only a SYN has a shape";
    expect_ports(event);
}

TEST(PacketReader, AnIpv6Segment) {
    const FlowEvent event = must_read(ipv6(6, tcp(ack)));
    EXPECT_EQ(event.family, SW_IPV6);
    EXPECT_EQ(event.source[0], htonl(0x20010db8));
    EXPECT_EQ(event.source[3], htonl(7));
    EXPECT_EQ(event.destination[1], htonl(0x00010000));
    EXPECT_EQ(event.ttl, 250);
    expect_ports(event);
}

TEST(PacketReader, AnIpv4EventAfterAnIpv6OneHasNoRestOfItsAddress) {
    FlowEvent event = must_read(ipv6(6, tcp(syn, linux_options)));
    ASSERT_TRUE(read_packet(ipv4(tcp(ack)), event));
    EXPECT_EQ(event.source, (RawAddress{htonl(0xc6120009), 0, 0, 0}));
    EXPECT_EQ(event.shape.header, 0);
}

TEST(PacketReader, TheShapeOfASyn) {
    const sw_shape shape = must_read(ipv4(tcp(syn, linux_options))).shape;
    EXPECT_EQ(shape.layout, 0x0204080103u);  // MSS, SACK, timestamp, NOP, wscale
    EXPECT_EQ(shape.header, 40);
    EXPECT_EQ(shape.hops, 64);
    EXPECT_EQ(shape.wscale, 7);
    EXPECT_EQ(shape.family, SW_IPV4);
    EXPECT_EQ(shape.pad, 0u);
}

TEST(PacketReader, ASynWithoutOptions) {
    const sw_shape shape = must_read(ipv6(6, tcp(syn))).shape;
    EXPECT_EQ(shape.layout, 0u);
    EXPECT_EQ(shape.header, 20);
    EXPECT_EQ(shape.hops, 255);
    EXPECT_EQ(shape.wscale, SW_SHAPE_NO_WSCALE);
    EXPECT_EQ(shape.family, SW_IPV6);
}

TEST(PacketReader, OptionsThatWereNotCapturedMakeNoShape) {
    Bytes packet = ipv4(tcp(syn, linux_options));
    packet.pop_back();
    const FlowEvent event = must_read(packet);
    EXPECT_EQ(event.shape.header, 0);
    expect_ports(event);
}

TEST(PacketReader, ADataOffsetOutOfRangeMakesNoShape) {
    Bytes segment = tcp(syn);
    segment[12] = 0x40;
    const FlowEvent event = must_read(ipv4(segment));
    EXPECT_EQ(event.shape.header, 0);
    EXPECT_EQ(event.tcp_flags, syn);
    expect_ports(event);
}

TEST(PacketReader, Ipv4OptionsAreSteppedOver) {
    expect_ports(must_read(ipv4(tcp(ack), 0, {0x94, 4, 0, 0, 1, 1, 1, 0})));
}

TEST(PacketReader, AnIpv4HeaderThatSaysItIsTooShort) {
    Bytes packet = ipv4(tcp(ack));
    packet[0] = 0x44;
    const FlowEvent event = must_read(packet);
    EXPECT_EQ(event.protocol, IPPROTO_TCP);
    expect_no_tcp(event);
}

TEST(PacketReader, OnlyTheFirstFragmentHasPorts) {
    expect_ports(must_read(ipv4(tcp(ack), 0x2000)));
    const FlowEvent later = must_read(ipv4(tcp(ack), 0x0004));
    EXPECT_EQ(later.protocol, IPPROTO_TCP);
    expect_no_tcp(later);
}

TEST(PacketReader, Ipv6ExtensionHeadersAreSteppedOver) {
    const Bytes hop = {43, 0, 1, 4, 0, 0, 0, 0};                              // then routing
    const Bytes routing = {51, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};  // then AH
    const Bytes authentication = {60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};       // then destination options
    const Bytes destination = {6, 0, 1, 4, 0, 0, 0, 0};
    expect_ports(must_read(ipv6(0, hop + routing + authentication + destination + tcp(ack))));
}

TEST(PacketReader, Ipv6Fragments) {
    const Bytes first = {6, 0, 0x00, 0x01, 0, 0, 0, 1};
    const Bytes later = {6, 0, 0x00, 0x09, 0, 0, 0, 1};
    expect_ports(must_read(ipv6(44, first + tcp(ack))));
    const FlowEvent event = must_read(ipv6(44, later + tcp(ack)));
    EXPECT_EQ(event.protocol, IPPROTO_TCP);
    expect_no_tcp(event);
}

TEST(PacketReader, MoreExtensionHeadersThanAreFollowed) {
    Bytes chain;
    for (int i = 0; i < 6; ++i) chain = chain + Bytes{60, 0, 1, 4, 0, 0, 0, 0};
    const FlowEvent event = must_read(ipv6(60, chain + Bytes{6, 0, 1, 4, 0, 0, 0, 0} + tcp(ack)));
    expect_no_tcp(event);
}

TEST(PacketReader, OtherProtocolsKeepTheirNumber) {
    Bytes packet = ipv4(tcp(ack));
    packet[9] = IPPROTO_UDP;
    const FlowEvent event = must_read(packet);
    EXPECT_EQ(event.protocol, IPPROTO_UDP);
    expect_no_tcp(event);
}

TEST(PacketReader, WithoutAnIpHeaderNothingChanges) {
    FlowEvent event;
    event.source_port = 7;
    event.source = {1, 2, 3, 4};
    event.ttl = 9;
    EXPECT_FALSE(read_packet({}, event));
    EXPECT_FALSE(read_packet(Bytes{0x45}, event));
    EXPECT_FALSE(read_packet(Bytes(19, 0x45), event));
    EXPECT_FALSE(read_packet(Bytes(39, 0x60), event));
    EXPECT_FALSE(read_packet(Bytes(64, 0x50), event));
    EXPECT_EQ(event.source_port, 7);
    EXPECT_EQ(event.source, (RawAddress{1, 2, 3, 4}));
    EXPECT_EQ(event.ttl, 9);
}

// Cut off anywhere, a packet never says anything that the whole one does not.
TEST(PacketReader, AnyPrefixOfAPacket) {
    const Bytes hop = {6, 0, 1, 4, 0, 0, 0, 0};
    for (const Bytes& packet :
         {ipv4(tcp(syn, linux_options), 0, {1, 1, 1, 0}), ipv6(0, hop + tcp(syn, linux_options))}) {
        const FlowEvent whole = must_read(packet);
        for (std::size_t length = 0; length < packet.size(); ++length) {
            // a buffer of exactly that size, so that asan finds a byte read too many
            const Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
            FlowEvent event;
            if (!read_packet(cut, event)) continue;
            EXPECT_EQ(event.source, whole.source);
            EXPECT_TRUE(event.destination_port == 0 || event.destination_port == whole.destination_port);
            EXPECT_EQ(event.shape.header, 0) << length;
        }
    }
}

TEST(Escalation, KindsFollowReasons) {
    EXPECT_EQ(event_kind(SW_REASON_SYN_ODD), EventKind::syn);
    EXPECT_EQ(event_kind(SW_REASON_STRAY_ACK), EventKind::stray);
    EXPECT_EQ(event_kind(SW_REASON_STRAY_OTHER), EventKind::stray);
    EXPECT_EQ(event_kind(SW_REASON_STRAY_SYNACK), EventKind::synack);
    EXPECT_EQ(event_kind(SW_REASON_STRAY_RST), EventKind::reset);
    EXPECT_EQ(event_kind(SW_REASON_FRAGMENT), EventKind::fragment);
    EXPECT_EQ(event_kind(SW_REASON_BAD_TCP), EventKind::malformed);
    EXPECT_EQ(event_kind(SW_REASON_SYN_ANSWERED), EventKind::other);
}

// Each reason for which XDP escalates has a kind, and each kind its ticket.
TEST(Escalation, EveryReasonOfAPolicyIsUnderstood) {
    const auto is_policy = [](std::string_view action) { return action == "POLICY"; };
    int policies = 0;
#define X(NAME, name, action, text)                                           \
    if (is_policy(#action) && SW_REASON_##NAME != SW_REASON_ESCALATE_LIMIT) { \
        ++policies;                                                           \
        EXPECT_NE(event_kind(SW_REASON_##NAME), EventKind::other) << #name;   \
        EXPECT_TRUE(event_doubt(event_kind(SW_REASON_##NAME))) << #name;      \
    }
    SW_REASONS(X)
#undef X
    EXPECT_GT(policies, 8);
    EXPECT_FALSE(event_doubt(EventKind::handshake));
    EXPECT_FALSE(event_doubt(EventKind::shape));
    EXPECT_FALSE(event_doubt(EventKind::other));
}

TEST(Escalation, TheReasonComesFromTheMark) {
    FlowEvent event;
    set_reason(event, escalation_reason(SW_MARK_ESCALATE | SW_REASON_STRAY_RST << SW_MARK_REASON_SHIFT |
                                        0xff000001));
    EXPECT_EQ(event.reason, SW_REASON_STRAY_RST);
    EXPECT_EQ(event.kind, EventKind::reset);
    set_reason(event, escalation_reason(SW_REASON_STRAY_RST << SW_MARK_REASON_SHIFT));
    EXPECT_EQ(event.kind, EventKind::other) << "not marked by us";
    set_reason(event, 127);
    EXPECT_EQ(event.kind, EventKind::other);
    EXPECT_EQ(event.reason, SW_REASON_NO_POLICY);
}

}  // namespace
}  // namespace synward
