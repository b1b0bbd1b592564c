// SPDX-License-Identifier: GPL-2.0-or-later
// IPv6 extension headers (RFC 8200 section 4).
#include "fixture.h"

namespace synward::bpf_test {

namespace {

const Tcp kSynWithOptions{.syn = true, .options = linux_syn_options()};
Packet ip6() {
    return Ethernet{} / Packet(Ipv6{});
}

}  // namespace

class ExtensionTest : public BpfTest {};

TEST_F(ExtensionTest, EachKindIsFollowed) {
    answered((ip6() / hop_by_hop() / kSynWithOptions).bytes());
    answered((ip6() / destination_options() / kSynWithOptions).bytes());
    answered((ip6() / routing() / kSynWithOptions).bytes());
    answered((ip6() / authentication() / kSynWithOptions).bytes());
    answered((ip6() / fragment(0, false) / kSynWithOptions).bytes());  // atomic: RFC 6946
    answered((ip6() / hop_by_hop() / destination_options() / routing() / fragment(0, false) /
              authentication() / kSynWithOptions)
                 .bytes());
}

TEST_F(ExtensionTest, EachLengthIsFollowed) {
    for (const unsigned units : {0u, 1u, 2u, 7u, 31u, 100u, 150u}) {
        answered((ip6() / hop_by_hop(units) / kSynWithOptions).bytes());
        answered((ip6() / destination_options(units) / kSynWithOptions).bytes());
    }
    answered((ip6() / destination_options(60) / destination_options(60) / destination_options(20) /
              kSynWithOptions)
                 .bytes());
}

TEST_F(ExtensionTest, SixAreFollowedAndSevenAreNot) {
    Packet packet = ip6();
    for (unsigned count = 1; count <= 8; ++count) {
        packet = packet / destination_options();
        const Bytes frame = (packet / kSynWithOptions).bytes();
        if (count <= kExtensionsFollowed)
            answered(frame);
        else
            expect(frame, SW_REASON_BAD_EXTENSION, kNone, std::to_string(count) + " headers");
    }
}

TEST_F(ExtensionTest, TruncatedOnesAreBad) {
    for (const unsigned type : {0u, 43u, 44u, 51u, 60u}) {
        for (const unsigned left : {0u, 1u, 2u, 7u})
            expect(Ethernet{} / Packet(Ipv6{.next_header = type}) / Payload{Bytes(left)},
                   SW_REASON_BAD_EXTENSION, kNone,
                   "type " + std::to_string(type) + ", " + std::to_string(left) + " bytes");
        if (type == 44) continue;
        for (const unsigned length : {20u, 255u}) {
            Extension extension = destination_options();
            extension.type = type;
            extension.length = length;
            expect(ip6() / extension / kSynWithOptions, SW_REASON_BAD_EXTENSION, kNone,
                   "type " + std::to_string(type) + ", length " + std::to_string(length));
        }
    }
}

// The frame goes on, the IP packet does not: what is behind its end is padding.
TEST_F(ExtensionTest, EndAtThePayloadLength) {
    expect(Ethernet{} / Packet(Ipv6{.payload_length = 7}) / destination_options() / kSynWithOptions,
           SW_REASON_BAD_EXTENSION, kNone);
    expect(Ethernet{} / Packet(Ipv6{.payload_length = 8 + 19}) / destination_options() / kSynWithOptions,
           SW_REASON_BAD_TCP, kWeb);
}

TEST_F(ExtensionTest, OthersAreNotTcp) {
    for (const unsigned type : {50u, 59u, 135u, 139u, 140u, 253u})
        expect(ip6() / Packet(Extension{.type = type}) / kSynWithOptions, SW_REASON_NOT_TCP, kNone,
               "type " + std::to_string(type));
    expect(ip6() / destination_options() / Udp{}, SW_REASON_NOT_TCP, kNone);
    expect(ip6() / fragment(0, true) / Udp{}, SW_REASON_NOT_TCP, kNone);
    expect(ip6() / fragment(8, false) / Udp{}, SW_REASON_NOT_TCP, kNone);
}

// What the extension headers of the middle of a packet are, nobody knows.
TEST_F(ExtensionTest, LaterFragmentsMayCarryTcpBehindOthers) {
    expect(ip6() / fragment(8, true) / destination_options() / kSynWithOptions, SW_REASON_FRAGMENT, kNone);
    expect(ip6() / destination_options() / fragment(8, false) / kSynWithOptions, SW_REASON_FRAGMENT, kNone);
    expect(ip6() / fragment(0, true) / destination_options() / kSynWithOptions, SW_REASON_FRAGMENT, kWeb);
}

// RFC 2675: a jumbogram has length 0; it is no TCP segment that fits a frame.
TEST_F(ExtensionTest, JumbogramsAreNotFollowed) {
    expect(Ethernet{} / Packet(Ipv6{.payload_length = 0}) / hop_by_hop() / kSynWithOptions,
           SW_REASON_BAD_EXTENSION, kNone);
}

}  // namespace synward::bpf_test
