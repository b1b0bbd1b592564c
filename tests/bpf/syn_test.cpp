// SPDX-License-Identifier: GPL-2.0-or-later
// The answer to a SYN, byte by byte; options have a file of their own.
#include "fixture.h"

namespace synward::bpf_test {

namespace {

__be16 wire(unsigned value) {
    return __builtin_bswap16(static_cast<std::uint16_t>(value));
}

}  // namespace

class SynTest : public BpfTest {};

TEST_F(SynTest, IsAnsweredToEveryClient) {
    for (const Bytes& list : {Bytes{}, linux_syn_options(), windows_syn_options(), options({mss(1460)})}) {
        answered(tcp4({.syn = true, .options = list}).bytes());
        answered(tcp6({.syn = true, .options = list}).bytes());
    }
}

TEST_F(SynTest, WithDataOrTfoAcknowledgesTheSynOnly) {
    const Bytes cookie_request = options({mss(1460), raw_option(34, 2, {})});
    const Bytes cookie = options({mss(1460), raw_option(34, 10, Bytes(8, 0x77)), nop(), nop()});
    for (const Bytes& list : {Bytes{}, cookie_request, cookie}) {
        for (const unsigned size : {1u, 2u, 500u, 1400u}) {
            answered((tcp4({.syn = true, .options = list}) / Payload{Bytes(size, 'x')}).bytes());
            answered((tcp6({.syn = true, .options = list}) / Payload{Bytes(size, 'x')}).bytes());
        }
    }
    // The acknowledgement wraps.
    answered(tcp4({.seq = 0xffffffff, .syn = true}).bytes());
}

TEST_F(SynTest, MptcpClientsFallBackToTcp) {
    answered(tcp4({.syn = true, .options = options({mss(1460), raw_option(30, 4, Bytes{1, 1})})}).bytes());
    answered(tcp6({.syn = true, .options = options({mss(1460), raw_option(30, 4, Bytes{1, 1})})}).bytes());
}

TEST_F(SynTest, NegotiatesEcnOnlyWithBothBits) {
    for (unsigned bits = 0; bits < 4; ++bits) {
        const Tcp tcp{.syn = true, .ece = !!(bits & 1), .cwr = !!(bits & 2)};
        for (const Packet& packet : {tcp4(tcp), tcp6(tcp)})
            EXPECT_EQ(!!(dissect(answered(packet.bytes())).flags & kEce), bits == 3);
    }
    policy.web().options &= ~SW_OPTION_ECN;
    store();
    EXPECT_FALSE(dissect(answered(tcp4({.syn = true, .ece = true, .cwr = true}).bytes())).flags & kEce);
}

TEST_F(SynTest, IgnoresFieldsThatMeanNothing) {
    answered(tcp4({.syn = true, .psh = true, .urg = true, .urgent = 99}).bytes());
    answered(tcp4({.ack_seq = 0xdeadbeef, .syn = true}).bytes());
    answered(tcp4({.syn = true, .window = 0}).bytes());
    answered(tcp4({.source = 0, .syn = true}).bytes());
    answered((Ethernet{} / Packet(Ipv4{.tos = 0xff, .id = 0, .ttl = 1}) / Tcp{.syn = true}).bytes());
    answered((Ethernet{} / Packet(Ipv6{.traffic_class = 0xff, .flow_label = 0xfffff, .hop_limit = 0}) /
              Tcp{.syn = true})
                 .bytes());
    for (unsigned reserved = 0; reserved < 16; ++reserved)  // AccECN and what may come
        answered(tcp4({.syn = true, .reserved = reserved}).bytes());
}

// veth and virtio hand over frames whose checksum is not finished; the reply is whole.
TEST_F(SynTest, ChecksumsAreWholeWhateverCameIn) {
    for (const unsigned checksum : {0u, 1u, 0x1234u, 0xffffu}) {
        answered(tcp4({.syn = true, .checksum = checksum}).bytes());
        answered(tcp6({.syn = true, .checksum = checksum}).bytes());
    }
    Bytes frame = tcp4({.syn = true}).bytes();
    set16(frame, 24, 0);
    answered(frame);
}

TEST_F(SynTest, LooksLikeTheHost) {
    auto& web = policy.web();
    for (const unsigned step : {0u, 1u, 2u}) {
        web.ttl[SW_IPV4] = static_cast<std::uint8_t>(255 - step);
        web.ttl[SW_IPV6] = static_cast<std::uint8_t>(1 + step);
        web.wscale = static_cast<std::uint8_t>(7 * step);
        web.mss[SW_IPV4] = wire(536 + step);
        web.mss[SW_IPV6] = wire(65535 - step);
        for (int family = 0; family < SW_FAMILIES; ++family)
            for (int stamped = 0; stamped < 2; ++stamped)
                web.window[family][stamped] = wire(0x1111u * (1 + step) + 2u * static_cast<unsigned>(family) +
                                                   static_cast<unsigned>(stamped));
        store();
        for (const Bytes& list : {linux_syn_options(), windows_syn_options()}) {
            answered(tcp4({.syn = true, .options = list}).bytes());
            answered(tcp6({.syn = true, .options = list}).bytes());
        }
    }
}

// Each bit of what goes into the hash must change the cookie.
TEST_F(SynTest, TheCookieDependsOnEveryBitOfTheTuple) {
    const Tcp base{.syn = true, .options = linux_syn_options()};
    for (int bit = 0; bit < 32; ++bit) {
        const auto flip = static_cast<std::uint32_t>(1u << bit);
        Tcp tcp = base;
        tcp.seq ^= flip;
        answered(tcp4(tcp).bytes());
        answered(tcp6(tcp).bytes());
        tcp = base;
        tcp.source ^= flip & 0xffff;
        answered(tcp4(tcp).bytes());
        answered(tcp6(tcp).bytes());
    }
    for (std::size_t i = 0; i < 32; ++i) {
        Ipv4 ip{.source = {85, 85, 85, 85}};
        if (i > 0)
            ip.source[i / 8] ^= static_cast<std::uint8_t>(0x80 >> i % 8);  // 213/8 is fine, 224/3 is not
        answered((Ethernet{} / Packet(ip) / base).bytes());
    }
    for (std::size_t i = 0; i < 128; ++i) {
        Ipv6 ip;
        ip.source[i / 8] ^= static_cast<std::uint8_t>(0x80 >> i % 8);
        answered((Ethernet{} / Packet(ip) / base).bytes());
    }
}

TEST_F(SynTest, EveryServiceHasItsOwnReply) {
    policy.services[kBound].wscale = 3;
    policy.services[kBound].mss[SW_IPV4] = wire(1234);
    policy.services[kBound].ttl[SW_IPV4] = 200;
    policy.services[kBound].options = SW_OPTION_WSCALE;
    store();
    answered(tcp4({.destination = kBoundPort, .syn = true, .options = linux_syn_options()}).bytes(), kBound);
    answered(tcp4({.syn = true, .options = linux_syn_options()}).bytes(), kWeb);
}

}  // namespace synward::bpf_test
