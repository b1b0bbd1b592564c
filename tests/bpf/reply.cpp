// SPDX-License-Identifier: GPL-2.0-or-later
#include "reply.h"

#include <algorithm>

namespace synward::bpf_test {

namespace {

// The order in which tcp_options_write() of Linux puts them.
Bytes reply_options(const sw_service& service, unsigned announced_mss, const Negotiated& n,
                    const Cookie& cookie) {
    Bytes out = mss(announced_mss);
    if (n.timestamp) {
        append(out, n.sack ? sack_permitted() : Bytes{1, 1});
        append(out, timestamp(cookie.timestamp, n.timestamp->value));
    } else if (n.sack) {
        append(out, Bytes{1, 1});
        append(out, sack_permitted());
    }
    if (n.wscale) {
        append(out, nop());
        append(out, wscale(service.wscale));
    }
    return out;
}

std::uint16_t host_order(__be16 value) {
    return __builtin_bswap16(value);
}

}  // namespace

Bytes reply_with(View syn, const Segment& s, const sw_service& service, const Negotiated& n,
                 const Cookie& cookie) {
    Bytes options = reply_options(service, host_order(service.mss[s.v6]), n, cookie);
    // What is one word shorter than its SYN is filled up (docs/architecture.md).
    if (options.size() == 20 && s.ip + (s.v6 ? 40 : 20) + 20 + options.size() + 4 == syn.size())
        for (int i = 0; i < 4; ++i) append(options, nop());
    const auto tcp_length = static_cast<unsigned>(20 + options.size());

    Bytes out(syn.begin() + 6, syn.begin() + 12);
    append(out, syn.first(6));
    append(out, syn.subspan(12, s.ip - 12));  // the tags as they came, and the type

    Bytes ip;
    if (s.v6) {
        put32(ip, 0x60000000);
        put16(ip, tcp_length);
        put8(ip, 6);
        put8(ip, service.ttl[SW_IPV6]);
    } else {
        put16(ip, 0x4500);
        put16(ip, 20 + tcp_length);
        put32(ip, 0x00004000);
        put8(ip, service.ttl[SW_IPV4]);
        put8(ip, 6);
        put16(ip, 0);
    }
    append(ip, s.destination);
    append(ip, s.source);
    if (!s.v6) set16(ip, 10, internet_checksum(ip));
    append(out, ip);

    Bytes tcp;
    put16(tcp, *s.port);
    put16(tcp, s.source_port);
    put32(tcp, cookie.isn);
    put32(tcp, s.seq + 1);
    put8(tcp, tcp_length / 4 << 4);
    put8(tcp, kSyn | kAck | (n.ecn ? kEce : 0));
    put16(tcp, host_order(service.window[s.v6][n.timestamp.has_value()]));
    put32(tcp, 0);
    append(tcp, options);
    set16(tcp, 16, internet_checksum(tcp, pseudo_header(s.destination, s.source, tcp_length)));
    append(out, tcp);
    return out;
}

Bytes expected_reply(View syn, const Segment& s, const sw_service& service, std::uint32_t epoch,
                     const sw_keyring& keyring) {
    const Negotiated n = negotiate(s, service);
    return reply_with(syn, s, service, n, bake(s, s.seq, option_byte(n), epoch, keyring));
}

std::string broken_rule(View syn, View reply) {
    const Segment in = dissect(syn), out = dissect(reply);
    if (in.fault) return "answered what is no TCP segment";
    if (out.fault) return "the reply is no TCP segment";
    if ((in.flags & (kSyn | kAck | kRst | kFin)) != kSyn) return "answered what is no SYN";
    if ((out.flags & ~kEce) != (kSyn | kAck)) return "flags other than SYN, ACK, ECE";
    if ((out.flags & kEce) && (in.flags & (kEce | kCwr)) != (kEce | kCwr))
        return "ECN that was not asked for";
    if (out.ip != in.ip || out.v6 != in.v6) return "tags or family changed";
    if (out.end != reply.size() || out.payload != out.end) return "payload or padding";
    if (out.payload - out.transport > 20 + 4 + 12 + 4 + 4) return "more options than were ever negotiated";
    if (out.transport - out.ip != (out.v6 ? 40u : 20u)) return "IP options or extension headers";
    if (out.source != in.destination || out.destination != in.source) return "addresses not swapped";
    if (out.source_port != *in.port || *out.port != in.source_port) return "ports not swapped";
    if (!std::equal(syn.begin(), syn.begin() + 6, reply.begin() + 6) ||
        !std::equal(reply.begin(), reply.begin() + 6, syn.begin() + 6))
        return "Ethernet addresses not swapped";
    if (!std::equal(syn.begin() + 12, syn.begin() + static_cast<long>(in.ip), reply.begin() + 12))
        return "tags changed";
    if (out.ack_seq != in.seq + 1) return "acknowledges something else than the SYN";
    if (!out.v6 && internet_checksum(reply.subspan(out.ip, 20))) return "IPv4 checksum";
    const View tcp = reply.subspan(out.transport);
    if (internet_checksum(tcp, pseudo_header(out.source, out.destination, tcp.size()))) return "TCP checksum";

    const Options offered = read_options(in.options), given = read_options(out.options);
    for (View left = out.options; !left.empty();) {
        const unsigned kind = left[0];
        if (kind == 1) {
            left = left.subspan(1);
            continue;
        }
        if (kind != 2 && kind != 3 && kind != 4 && kind != 8) return "option kind " + std::to_string(kind);
        left = left.subspan(get8(left, 1));
    }
    if (!given.mss) return "no MSS";
    if (given.wscale && !offered.wscale) return "window scale that was not offered";
    if (given.sack && !offered.sack) return "SACK that was not offered";
    if (given.timestamp && !offered.timestamp) return "timestamps that were not offered";
    if (given.timestamp && given.timestamp->echo != offered.timestamp->value)
        return "echoes another timestamp";
    return {};
}

}  // namespace synward::bpf_test
