// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet.h"

namespace synward::bpf_test {

namespace {

constexpr unsigned kTypeIpv4 = 0x0800, kTypeIpv6 = 0x86dd;
constexpr unsigned kFragment = 44, kAuthentication = 51, kNoNext = 59;

template <typename... T>
struct Match : T... {
    using T::operator()...;
};

unsigned ether_type(const Packet::Layer* inner) {
    if (!inner) return 0x88b5;  // local experimental: nothing follows
    return std::visit(Match{[](const Vlan& l) { return l.tpid; }, [](const Ipv4&) { return kTypeIpv4; },
                            [](const Ipv6&) { return kTypeIpv6; }, [](const auto&) { return 0x88b5u; }},
                      *inner);
}

unsigned protocol(const Packet::Layer* inner) {
    if (!inner) return kNoNext;
    return std::visit(Match{[](const Tcp&) { return 6u; }, [](const Udp&) { return 17u; },
                            [](const Extension& l) { return l.type; }, [](const Ipv4&) { return 4u; },
                            [](const Ipv6&) { return 41u; }, [](const auto&) { return kNoNext; }},
                      *inner);
}

struct Endpoints {
    Address source, destination;
};

Bytes render(const Ethernet& l, const Packet::Layer* inner, const Endpoints&, const Bytes& rest) {
    Bytes out(l.destination.begin(), l.destination.end());
    append(out, l.source);
    put16(out, l.type.value_or(ether_type(inner)));
    append(out, rest);
    return out;
}

Bytes render(const Vlan& l, const Packet::Layer* inner, const Endpoints&, const Bytes& rest) {
    Bytes out;
    put16(out, l.priority << 13 | l.id);
    put16(out, l.type.value_or(ether_type(inner)));
    append(out, rest);
    return out;
}

Bytes render(const Ipv4& l, const Packet::Layer* inner, const Endpoints&, const Bytes& rest) {
    const std::size_t header = 20 + l.options.size();
    Bytes out;
    put8(out, l.version.value_or(4) << 4 | (l.header_words.value_or(static_cast<unsigned>(header / 4)) & 15));
    put8(out, l.tos);
    put16(out, l.total_length.value_or(static_cast<unsigned>(header + rest.size())));
    put16(out, l.id);
    put16(out, (l.dont_fragment ? 0x4000u : 0u) | (l.more_fragments ? 0x2000u : 0u) | l.offset);
    put8(out, l.ttl);
    put8(out, l.protocol.value_or(protocol(inner)));
    put16(out, 0);
    append(out, l.source);
    append(out, l.destination);
    append(out, l.options);
    set16(out, 10, internet_checksum(out));
    append(out, rest);
    return out;
}

Bytes render(const Ipv6& l, const Packet::Layer* inner, const Endpoints&, const Bytes& rest) {
    Bytes out;
    put32(out, l.version.value_or(6) << 28 | l.traffic_class << 20 | l.flow_label);
    put16(out, l.payload_length.value_or(static_cast<unsigned>(rest.size())));
    put8(out, l.next_header.value_or(protocol(inner)));
    put8(out, l.hop_limit);
    append(out, l.source);
    append(out, l.destination);
    append(out, rest);
    return out;
}

Bytes render(const Extension& l, const Packet::Layer* inner, const Endpoints&, const Bytes& rest) {
    unsigned length = static_cast<unsigned>(l.body.size() + 2) / 8 - 1;
    if (l.type == kAuthentication) length = static_cast<unsigned>(l.body.size() + 2) / 4 - 2;
    if (l.type == kFragment) length = 0;  // reserved (RFC 8200 4.5)
    Bytes out;
    put8(out, l.next_header.value_or(protocol(inner)));
    put8(out, l.length.value_or(length));
    append(out, l.body);
    append(out, rest);
    return out;
}

Bytes render(const Tcp& l, const Packet::Layer*, const Endpoints& ip, const Bytes& rest) {
    const auto words = static_cast<unsigned>((20 + l.options.size()) / 4);
    Bytes out;
    put16(out, l.source);
    put16(out, l.destination);
    put32(out, l.seq);
    put32(out, l.ack_seq);
    put8(out, (l.data_offset.value_or(words) & 15) << 4 | (l.reserved & 15));
    put8(out,
         l.cwr << 7 | l.ece << 6 | l.urg << 5 | l.ack << 4 | l.psh << 3 | l.rst << 2 | l.syn << 1 | l.fin);
    put16(out, l.window);
    put16(out, 0);
    put16(out, l.urgent);
    append(out, l.options);
    append(out, rest);
    set16(out, 16,
          l.checksum.value_or(internet_checksum(out, pseudo_header(ip.source, ip.destination, out.size()))));
    return out;
}

Bytes render(const Udp& l, const Packet::Layer*, const Endpoints&, const Bytes& rest) {
    Bytes out;
    put16(out, l.source);
    put16(out, l.destination);
    put16(out, static_cast<unsigned>(8 + rest.size()));
    put16(out, 0);
    append(out, rest);
    return out;
}

Bytes render(const Payload& l, const Packet::Layer*, const Endpoints&, const Bytes& rest) {
    Bytes out = l.bytes;
    append(out, rest);
    return out;
}

Extension padded(unsigned type, unsigned units) {
    Bytes body;
    std::size_t left = 8 * (units + 1) - 2;
    while (left) {  // PadN holds at most 255 bytes
        const std::size_t part = std::min<std::size_t>(left == 258 ? 200 : left, 257);
        put8(body, 1);
        put8(body, static_cast<unsigned>(part - 2));
        body.resize(body.size() + part - 2);
        left -= part;
    }
    return {.type = type, .body = body};
}

}  // namespace

Bytes Packet::bytes() const {
    Bytes out;
    for (std::size_t i = layers_.size(); i-- > 0;) {
        const Layer* inner = i + 1 < layers_.size() ? &layers_[i + 1] : nullptr;
        Endpoints ip;
        for (std::size_t j = i; j-- > 0 && ip.source.empty();) {
            std::visit(Match{[&](const Ipv4& l) {
                                 ip = {l.source, l.destination};
                             },
                             [&](const Ipv6& l) {
                                 ip = {l.source, l.destination};
                             },
                             [](const auto&) {}},
                       layers_[j]);
        }
        out = std::visit([&](const auto& layer) { return render(layer, inner, ip, out); }, layers_[i]);
    }
    return out;
}

Extension hop_by_hop(unsigned units) {
    return padded(0, units);
}

Extension destination_options(unsigned units) {
    return padded(60, units);
}

Extension routing(unsigned units) {
    Bytes body(8 * (units + 1) - 2);
    body[0] = 4;
    return {.type = 43, .body = body};
}

Extension authentication() {
    return {.type = kAuthentication, .body = Bytes(22, 0x5a)};
}

Extension fragment(unsigned offset, bool more, std::uint32_t id) {
    Bytes body;
    put16(body, offset << 3 | (more ? 1u : 0u));
    put32(body, id);
    return {.type = kFragment, .body = body};
}

}  // namespace synward::bpf_test
