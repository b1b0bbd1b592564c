// SPDX-License-Identifier: GPL-2.0-or-later
#include "mutator.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace synward::bpf_test {

std::uint64_t Mutator::pick_seed() {
    if (const char* given = std::getenv("SYNWARD_SEED")) return std::stoull(given);
    return std::random_device{}();
}

Bytes Mutator::random_bytes(unsigned most) {
    Bytes out(below(most + 1));
    for (auto& byte : out) byte = static_cast<std::uint8_t>(word());
    return out;
}

Bytes Mutator::one_option() {
    static constexpr unsigned kMss[] = {0,    1,    535,  536,  537,  1219, 1220, 1299, 1300, 1419, 1420,
                                        1439, 1440, 1441, 1459, 1460, 1461, 8939, 8940, 8960, 65535};
    switch (below(16)) {
        case 0:
        case 1:
        case 2:
            return mss(one_in(4) ? word() & 0xffff : kMss[below(std::size(kMss))]);
        case 3:
        case 4:
            return wscale(one_in(6) ? below(256) : below(16));
        case 5:
        case 6:
            return sack_permitted();
        case 7:
        case 8:
            return timestamp(word(), one_in(3) ? word() : 0);
        case 9:
        case 10:
        case 11:
            return nop();
        case 12:
            return raw_option(34, 10, Bytes(8, 0x3c));  // TFO cookie
        case 13:
            return raw_option(30, 12, Bytes(10, 0x11));  // MPTCP
        case 14:
            return one_in(3) ? end_of_options() : raw_option(below(256), below(14), random_bytes(8));
        default: {  // a known kind with a length that it must not have
            static constexpr unsigned kKinds[] = {2, 3, 4, 8};
            const Bytes body = random_bytes(10);
            return raw_option(kKinds[below(4)], static_cast<unsigned>(body.size()) + 2, body);
        }
    }
}

Bytes Mutator::tcp_options() {
    if (one_in(8)) return linux_syn_options(word());
    if (one_in(12)) return windows_syn_options();
    Bytes out;
    for (unsigned count = below(8); count--;) append(out, one_option());
    while (out.size() % 4) put8(out, one_in(2) ? 0 : 1);
    if (out.size() > 40) out.resize(40);
    return out;
}

Tcp Mutator::random_tcp(const std::vector<unsigned>& ports) {
    Tcp tcp{.source = below(65536),
            .destination = ports[below(static_cast<unsigned>(ports.size()))],
            .seq = word(),
            .ack_seq = one_in(2) ? word() : 0,
            .window = below(65536),
            .urgent = one_in(8) ? below(65536) : 0,
            .options = tcp_options()};
    tcp.psh = one_in(4);
    tcp.urg = one_in(8);
    tcp.ece = one_in(3);
    tcp.cwr = one_in(3);
    tcp.reserved = one_in(4) ? below(16) : 0;
    return tcp;
}

Bytes Mutator::wrap(const Tcp& tcp) {
    Packet packet = Ethernet{};
    if (one_in(3))
        packet = packet / Vlan{.id = below(4096), .priority = below(8)};
    else if (one_in(4))
        packet =
            packet / Vlan{.id = below(4096), .tpid = 0x88a8} / Vlan{.id = below(4096), .priority = below(8)};
    if (one_in(2)) {
        Ipv4 ip{.tos = below(256), .id = below(65536), .dont_fragment = one_in(2), .ttl = below(256)};
        ip.source = {static_cast<std::uint8_t>(1 + below(126)), static_cast<std::uint8_t>(below(256)),
                     static_cast<std::uint8_t>(below(256)), static_cast<std::uint8_t>(below(256))};
        if (one_in(4)) ip.options = Bytes(4 * (1 + below(10)), 1);
        packet = packet / ip;
    } else {
        Ipv6 ip{.traffic_class = below(256), .flow_label = below(1 << 20), .hop_limit = below(256)};
        for (std::size_t i = 4; i < 16; ++i) ip.source[i] = static_cast<std::uint8_t>(below(256));
        packet = packet / ip;
        if (one_in(8)) packet = packet / hop_by_hop(below(3));
        while (one_in(4)) packet = packet / (one_in(2) ? destination_options(below(4)) : routing(below(3)));
        if (one_in(12)) packet = packet / fragment(0, false);
        if (one_in(16)) packet = packet / authentication();
    }
    packet = packet / tcp;
    if (one_in(4)) packet = packet / Payload{random_bytes(200)};
    Bytes frame = packet.bytes();
    if (one_in(4)) append(frame, random_bytes(20));  // Ethernet padding
    return frame;
}

Bytes Mutator::syn(const std::vector<unsigned>& ports) {
    Tcp tcp = random_tcp(ports);
    tcp.syn = true;
    return wrap(tcp);
}

Bytes Mutator::segment(const std::vector<unsigned>& ports) {
    Tcp tcp = random_tcp(ports);
    tcp.ack = !one_in(5);
    tcp.syn = one_in(6);
    tcp.fin = one_in(6);
    tcp.rst = one_in(6);
    return wrap(tcp);
}

Bytes Mutator::damage(Bytes frame) {
    for (unsigned count = 1 + below(4); count--;) {
        const unsigned size = static_cast<unsigned>(frame.size()), at = below(size);
        // Most of what decides is in the first hundred bytes behind the addresses.
        const unsigned header = one_in(8) ? at : std::min(size - 1, 12 + below(90));
        switch (below(8)) {
            case 0:
            case 1:
                frame[header] ^= static_cast<std::uint8_t>(1u << below(8));
                break;
            case 2:
                frame[header] = static_cast<std::uint8_t>(word());
                break;
            case 3: {
                static constexpr std::uint8_t kEdges[] = {0,    1,    2,    5,    6,    0x0f,
                                                          0x45, 0x60, 0x7f, 0x80, 0xfe, 0xff};
                frame[header] = kEdges[below(std::size(kEdges))];
                break;
            }
            case 4:
                if (size > 14) frame.resize(14 + below(size - 14));
                break;
            case 5:
                frame.insert(frame.begin() + header, static_cast<std::uint8_t>(word()));
                break;
            case 6:
                if (size > 15) frame.erase(frame.begin() + header);
                break;
            default:
                append(frame, random_bytes(64));
        }
    }
    return frame;
}

}  // namespace synward::bpf_test
