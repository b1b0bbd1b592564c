// SPDX-License-Identifier: GPL-2.0-or-later
// The composer and the oracle's own parts against bytes that others wrote.
#include "packet.h"

#include <gtest/gtest.h>

#include "cookie.h"
#include "reply.h"
#include "segment.h"

namespace synward::bpf_test {

// The same packets as scapy composes them.
TEST(Packet, AgreesWithScapy) {
    const Bytes frame =
        (Ethernet{} /
         Packet(Ipv4{
             .source = address("192.0.2.7"), .destination = address("192.0.2.1"), .id = 0x9dd2, .ttl = 64}) /
         Tcp{.source = 54210,
             .destination = 443,
             .seq = 0x7a1fc3e5,
             .syn = true,
             .options = linux_syn_options(0x01020304)})
            .bytes();
    const Bytes expected = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00,
                            0x00, 0x02, 0x08, 0x00,  // Ethernet
                            0x45, 0x00, 0x00, 0x3c, 0x9d, 0xd2, 0x40, 0x00, 0x40, 0x06,
                            0x18, 0xe1, 0xc0, 0x00, 0x02, 0x07, 0xc0, 0x00, 0x02, 0x01,  // IPv4
                            0xd3, 0xc2, 0x01, 0xbb, 0x7a, 0x1f, 0xc3, 0xe5, 0x00, 0x00,
                            0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0, 0xb1, 0x7d, 0x00, 0x00,  // TCP
                            0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0x01, 0x02,
                            0x03, 0x04, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07};
    EXPECT_EQ(frame, expected) << hex(frame);

    const Bytes frame6 = (Ethernet{} / Packet(Ipv6{}) / Tcp{.syn = true} / Payload{{'a', 'b', 'c'}}).bytes();
    const Bytes expected6 = {0x60, 0x0a, 0xbc, 0xde, 0x00, 0x17, 0x06, 0x39, 0x20, 0x01, 0x0d, 0xb8, 0x00,
                             0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x99, 0x20, 0x01,
                             0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                             0x01, 0x9c, 0x40, 0x00, 0x50, 0x0a, 0x0b, 0x0c, 0x0d, 0x00, 0x00, 0x00, 0x00,
                             0x50, 0x02, 0xfa, 0xf0, 0xe1, 0xd0, 0x00, 0x00, 0x61, 0x62, 0x63};
    EXPECT_EQ(Bytes(frame6.begin() + 14, frame6.end()), expected6) << hex(frame6);
}

// The header of RFC 1071's usual example (Wikipedia, IPv4 header checksum).
TEST(Packet, ChecksumsAsPublished) {
    const Bytes header = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                          0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
    EXPECT_EQ(internet_checksum(header), 0xb861);
}

TEST(Packet, NestsTagsAndExtensions) {
    const Bytes frame = (Ethernet{} / Packet(Vlan{.id = 5, .tpid = 0x88a8}) / Vlan{.id = 6} / Ipv6{} /
                         hop_by_hop() / destination_options(2) / routing() / authentication() /
                         fragment(0, false) / Tcp{.syn = true} / Payload{Bytes(5)})
                            .bytes();
    EXPECT_EQ(get16(frame, 12), 0x88a8);
    EXPECT_EQ(get16(frame, 16), 0x8100);
    EXPECT_EQ(get16(frame, 20), 0x86dd);
    EXPECT_EQ(get8(frame, 22 + 6), 0);
    const Segment s = dissect(frame);
    EXPECT_FALSE(s.fault);
    EXPECT_EQ(s.transport, 22u + 40 + 8 + 24 + 8 + 24 + 8);
    EXPECT_EQ(s.end - s.payload, 5u);
    EXPECT_EQ(internet_checksum(View(frame).subspan(s.transport),
                                pseudo_header(s.source, s.destination, s.end - s.transport)),
              0);
}

TEST(Options, AreReadAsLinuxReadsThem) {
    const Options all = read_options(linux_syn_options(77));
    EXPECT_EQ(all.mss, 1460u);
    EXPECT_EQ(all.wscale, 7u);
    EXPECT_TRUE(all.sack);
    ASSERT_TRUE(all.timestamp);
    EXPECT_EQ(all.timestamp->value, 77u);

    EXPECT_EQ(read_options(options({end_of_options(), mss(1460)})).mss, 0u) << "EOL ends the list";
    EXPECT_EQ(read_options(options({mss(1000), mss(1400)})).mss, 1400u) << "the last one wins";
    EXPECT_EQ(read_options(options({mss(1000), mss(0)})).mss, 1000u) << "zero is no MSS";
    EXPECT_EQ(read_options(options({raw_option(2, 3, Bytes(1)), mss(1400)})).mss, 1400u)
        << "skipped by length";
    EXPECT_EQ(read_options(options({raw_option(99, 1, {}), mss(1400)})).mss, 0u) << "length 1 ends the list";
    EXPECT_EQ(read_options(options({raw_option(99, 30, Bytes(2)), mss(1400)})).mss, 0u) << "beyond the end";
    EXPECT_EQ(read_options(options({wscale(200)})).wscale, 14u) << "RFC 7323 2.3";
}

TEST(Cookie, RoundTripsThroughItsOwnVerification) {
    sw_keyring keyring{.key = {{1, 2}, {3, 4}}, .since = 100, .active = 1};
    const Bytes frame =
        (Ethernet{} / Packet(Ipv6{}) / Tcp{.syn = true, .options = linux_syn_options()}).bytes();
    const Segment syn = dissect(frame);
    for (const std::uint32_t epoch : {99u, 100u, 101u, 0u, 0xffffffffu}) {
        const Cookie cookie = bake(syn, syn.seq, 0x97, epoch, keyring);
        Segment ack = syn;
        ack.options = {};
        ack.seq = syn.seq + 1;
        ack.ack_seq = cookie.isn + 1;
        EXPECT_EQ(verify(ack, epoch, keyring), 0x97);
        EXPECT_EQ(verify(ack, epoch + 1, keyring), 0x97);
        EXPECT_FALSE(verify(ack, epoch + 2, keyring));
        EXPECT_FALSE(verify(ack, epoch - 1, keyring));
    }
}

// The rules that guard random replies must be able to fail.
TEST(Reply, RulesNoticeEveryDamage) {
    const Bytes syn =
        (Ethernet{} / Packet(Ipv4{}) / Tcp{.syn = true, .options = linux_syn_options()}).bytes();
    sw_service service{.options = 0xf, .wscale = 9, .ttl = {64, 64}, .mss = {0xb405, 0xa005}};
    const Bytes reply = expected_reply(syn, dissect(syn), service, 7, {});
    EXPECT_EQ(broken_rule(syn, reply), "");
    for (std::size_t i = 0; i < reply.size(); ++i) {
        if (i == 12 || i == 13) continue;  // another type is noticed as no segment
        Bytes damaged = reply;
        damaged[i] ^= 0x10;
        EXPECT_NE(broken_rule(syn, damaged), "") << "byte " << i;
    }
    Bytes longer = reply;
    longer.push_back(0);
    EXPECT_NE(broken_rule(syn, longer), "");
    const Bytes plain = (Ethernet{} / Packet(Ipv4{}) / Tcp{.syn = true}).bytes();
    EXPECT_NE(broken_rule(plain, reply), "") << "options that were not offered";
}

}  // namespace synward::bpf_test
