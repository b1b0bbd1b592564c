// SPDX-License-Identifier: GPL-2.0-or-later
// From the frame to a TCP segment: what is passed, what is malformed, what is a fragment.
#include "fixture.h"

namespace synward::bpf_test {

namespace {

const Tcp kSynWithOptions{.syn = true, .options = linux_syn_options()};

Packet segment_in(const Ipv4& ip) {
    return Ethernet{} / Packet(ip) / kSynWithOptions;
}

}  // namespace

class ParseTest : public BpfTest {};

TEST_F(ParseTest, PassesWhatIsNotIp) {
    expect(Ethernet{.type = 0x0806} / Packet(Payload{Bytes(28)}), SW_REASON_NOT_IP, kNone, "ARP");
    expect(Ethernet{.type = 0x88cc} / Packet(Payload{}), SW_REASON_NOT_IP, kNone, "no payload at all");
    expect(Ethernet{.type = 60} / Packet(Payload{Bytes(60)}), SW_REASON_NOT_IP, kNone, "802.3 length");
    expect(Ethernet{} / Packet(Vlan{.type = 0x0806}) / Payload{Bytes(28)}, SW_REASON_NOT_IP, kNone,
           "tagged ARP");
    expect(Ethernet{} / Packet(Vlan{}) / Vlan{} / Vlan{} / Ipv4{} / kSynWithOptions, SW_REASON_NOT_IP, kNone,
           "three tags");
}

TEST_F(ParseTest, PassesWhatIsNotTcp) {
    expect(Ethernet{} / Packet(Ipv4{}) / Udp{}, SW_REASON_NOT_TCP, kNone);
    expect(Ethernet{} / Packet(Ipv6{}) / Udp{}, SW_REASON_NOT_TCP, kNone);
    expect(Ethernet{} / Packet(Ipv4{}) / Ipv4{} / kSynWithOptions, SW_REASON_NOT_TCP, kNone, "IP in IP");
    expect(Ethernet{} / Packet(Ipv4{.protocol = 1}) / Payload{Bytes(8)}, SW_REASON_NOT_TCP, kNone, "ICMP");
    expect(Ethernet{} / Packet(Ipv6{.next_header = 58}) / Payload{Bytes(8)}, SW_REASON_NOT_TCP, kNone,
           "ICMPv6");
    expect(Ethernet{} / Packet(Ipv4{.protocol = 17}), SW_REASON_NOT_TCP, kNone, "nothing behind the header");
}

TEST_F(ParseTest, AnswersThroughTags) {
    for (const bool v6 : {false, true}) {
        const Packet inner = (v6 ? Packet(Ipv6{}) : Packet(Ipv4{})) / kSynWithOptions;
        answered((Ethernet{} / inner).bytes());
        answered((Ethernet{} / Packet(Vlan{.id = 4094, .priority = 7}) / inner).bytes());
        answered((Ethernet{} / Packet(Vlan{.tpid = 0x88a8}) / inner).bytes());
        answered((Ethernet{} / Packet(Vlan{.id = 7, .tpid = 0x88a8}) / Vlan{.id = 8, .priority = 3} / inner)
                     .bytes());
        answered((Ethernet{} / Packet(Vlan{.id = 1}) / Vlan{.id = 2} / inner).bytes());
    }
}

TEST_F(ParseTest, AnswersThroughIpv4Options) {
    for (unsigned words = 1; words <= 10; ++words)
        answered(segment_in({.options = Bytes(4 * words, 1)}).bytes());
}

TEST_F(ParseTest, IgnoresEthernetPadding) {
    for (const unsigned padding : {1u, 6u, 46u, 1000u}) {
        for (const Packet& packet : {tcp4({.syn = true}), tcp6({.syn = true})}) {
            Bytes frame = packet.bytes();
            frame.resize(frame.size() + padding, 0xee);
            answered(frame);
        }
    }
}

TEST_F(ParseTest, TruncatedTagsAreBadEthernet) {
    for (const unsigned left : {0u, 1u, 2u, 3u}) {
        expect((Ethernet{.type = 0x8100} / Packet(Payload{Bytes(left)})).bytes(), SW_REASON_BAD_ETHERNET,
               kNone);
        expect((Ethernet{} / Packet(Vlan{.type = 0x8100}) / Payload{Bytes(left)}).bytes(),
               SW_REASON_BAD_ETHERNET, kNone);
    }
}

TEST_F(ParseTest, InconsistentIpv4IsBadIp) {
    for (const unsigned version : {0u, 3u, 5u, 6u, 15u})
        expect(segment_in({.version = version}), SW_REASON_BAD_IP, kNone, "version");
    for (const unsigned words : {0u, 1u, 4u})
        expect(segment_in({.header_words = words}), SW_REASON_BAD_IP, kNone, "header length below 5");
    for (const unsigned total : {0u, 19u, 61u, 1500u, 65535u})
        expect(segment_in({.total_length = total}), SW_REASON_BAD_IP, kNone,
               "total length " + std::to_string(total));
    expect(segment_in({.options = Bytes(8, 1), .total_length = 24}), SW_REASON_BAD_IP, kNone,
           "total length within the options");
    for (std::size_t size = 14; size < 34; ++size) {
        Bytes frame = segment_in({}).bytes();
        frame.resize(size);
        expect(frame, SW_REASON_BAD_IP, kNone, "cut to " + std::to_string(size));
    }
}

TEST_F(ParseTest, InconsistentIpv6IsBadIp) {
    const auto with = [](const Ipv6& ip) { return Ethernet{} / Packet(ip) / kSynWithOptions; };
    for (const unsigned version : {0u, 4u, 5u, 7u, 15u})
        expect(with({.version = version}), SW_REASON_BAD_IP, kNone, "version");
    expect(with({.payload_length = 41}), SW_REASON_BAD_IP, kNone, "one byte too many");
    expect(with({.payload_length = 65535}), SW_REASON_BAD_IP, kNone);
    for (std::size_t size = 14; size < 54; ++size) {
        Bytes frame = with({}).bytes();
        frame.resize(size);
        expect(frame, SW_REASON_BAD_IP, kNone, "cut to " + std::to_string(size));
    }
}

TEST_F(ParseTest, TruncatedTcpIsBadTcp) {
    for (unsigned left = 0; left < 20; ++left) {
        const std::string why = std::to_string(left) + " bytes of TCP";
        Bytes frame4 = segment_in({.total_length = 20 + left}).bytes();
        Bytes frame6 = (Ethernet{} / Packet(Ipv6{.payload_length = left}) / kSynWithOptions).bytes();
        expect(frame4, SW_REASON_BAD_TCP, kWeb, "IPv4, " + why);
        expect(frame6, SW_REASON_BAD_TCP, kWeb, "IPv6, " + why);
        // Without room for a header in the frame the port is not known.
        frame4.resize(34 + left);
        frame6.resize(54 + left);
        expect(frame4, SW_REASON_BAD_TCP, kNone, "IPv4, frame of " + why);
        expect(frame6, SW_REASON_BAD_TCP, kNone, "IPv6, frame of " + why);
    }
    expect(Ethernet{} / Packet(Ipv4{.total_length = 30}) / Tcp{.destination = kFreePort},
           SW_REASON_NO_SERVICE, kNone, "unprotected");
}

TEST_F(ParseTest, DataOffsetOutOfRangeIsBadTcp) {
    for (const unsigned words : {0u, 1u, 4u, 11u, 15u}) {
        const Tcp tcp{.syn = true, .options = linux_syn_options(), .data_offset = words};
        expect(tcp4(tcp), SW_REASON_BAD_TCP, kWeb);
        expect(tcp6(tcp), SW_REASON_BAD_TCP, kWeb);
    }
    // Ethernet padding is no room for options.
    Bytes frame = tcp4({.syn = true, .data_offset = 6}).bytes();
    frame.resize(100, 1);
    expect(frame, SW_REASON_BAD_TCP, kWeb);
}

TEST_F(ParseTest, MalformedTakesTheConfiguredAction) {
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP, SW_ACTION_ESCALATE}) {
        policy.web().malformed = action;
        policy.config.malformed = SW_ACTION_DROP;
        store();
        expect(tcp4({.syn = true, .data_offset = 4}), SW_REASON_BAD_TCP, kWeb);
        policy.web().malformed = SW_ACTION_DROP;
        policy.config.malformed = action;
        store();
        expect(segment_in({.version = 5}), SW_REASON_BAD_IP, kNone);
        expect(Ethernet{.type = 0x8100} / Packet(Payload{}), SW_REASON_BAD_ETHERNET, kNone);
        expect(Ethernet{} / Packet(Ipv4{.protocol = 6}) / Payload{Bytes(19)}, SW_REASON_BAD_TCP, kNone);
        expect(Ethernet{} / Packet(Ipv6{.next_header = 60}) / Payload{Bytes(4)}, SW_REASON_BAD_EXTENSION,
               kNone);
    }
}

TEST_F(ParseTest, FragmentsTakeTheirAction) {
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP, SW_ACTION_ESCALATE}) {
        policy.web().fragment = action;
        policy.config.fragment = SW_ACTION_DROP;
        store();
        expect(segment_in({.more_fragments = true}), SW_REASON_FRAGMENT, kWeb, "first fragment");
        expect(Ethernet{} / Packet(Ipv6{}) / fragment(0, true) / kSynWithOptions, SW_REASON_FRAGMENT, kWeb);
        policy.web().fragment = SW_ACTION_DROP;
        policy.config.fragment = action;
        store();
        expect(segment_in({.offset = 1}), SW_REASON_FRAGMENT, kNone, "last fragment");
        expect(segment_in({.more_fragments = true, .offset = 0x1fff}), SW_REASON_FRAGMENT, kNone, "middle");
        expect(Ethernet{} / Packet(Ipv6{}) / fragment(1, false) / kSynWithOptions, SW_REASON_FRAGMENT, kNone);
        expect(Ethernet{} / Packet(Ipv6{}) / fragment(0x1fff, true) / kSynWithOptions, SW_REASON_FRAGMENT,
               kNone);
        expect(Ethernet{} / Packet(Ipv4{.more_fragments = true, .protocol = 6}) / Payload{Bytes(16)},
               SW_REASON_FRAGMENT, kNone, "no readable port");
        Tcp elsewhere = kSynWithOptions;
        elsewhere.destination = kFreePort;
        expect(Ethernet{} / Packet(Ipv4{.more_fragments = true}) / elsewhere, SW_REASON_NO_SERVICE, kNone,
               "port of no service");
    }
    expect(Ethernet{} / Packet(Ipv4{.more_fragments = true}) / Udp{}, SW_REASON_NOT_TCP, kNone);
    expect(Ethernet{} / Packet(Ipv4{.offset = 100}) / Udp{}, SW_REASON_NOT_TCP, kNone);
    // Don't-fragment and the reserved bit make no fragment.
    answered(segment_in({.dont_fragment = true}).bytes());
    answered(segment_in({.dont_fragment = false}).bytes());
}

}  // namespace synward::bpf_test
