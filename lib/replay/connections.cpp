// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/replay/connections.h"

#include <linux/if_ether.h>
#include <netinet/in.h>

#include <algorithm>
#include <utility>

#include "lib/escalation/packet_reader.h"

namespace synward::replay {
namespace {

constexpr std::size_t tcp_header = 20;
constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_timestamp = 8;

std::uint32_t read32(std::span<const std::uint8_t> bytes, std::size_t at) {
    return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
           std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

void write32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; i++) bytes[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
}

// Offset of the timestamp's value within the frame, the echoed one is 4 behind; 0: there is none.
std::size_t find_timestamp(std::span<const std::uint8_t> frame, std::size_t tcp) {
    const std::size_t end = std::min(frame.size(), tcp + (std::size_t{frame[tcp + 12]} >> 4) * 4);
    for (std::size_t at = tcp + tcp_header; at < end;) {
        if (frame[at] == option_end) return 0;
        if (frame[at] == option_nop) {
            at++;
            continue;
        }
        if (at + 1 >= end) return 0;
        const std::size_t length = frame[at + 1];
        if (length < 2 || at + length > end) return 0;
        if (frame[at] == option_timestamp && length == 10) return at + 2;
        at += length;
    }
    return 0;
}

}  // namespace

View read_frame(std::span<const std::uint8_t> frame) {
    using namespace packet_reader;
    View view;
    std::size_t at = 12;
    if (frame.size() < ETH_HLEN) return view;
    std::uint16_t protocol = read16(frame, at);
    for (int tags = 0; tags < 2 && (protocol == ETH_P_8021Q || protocol == ETH_P_8021AD); tags++) {
        at += 4;
        if (at + 2 > frame.size()) return view;
        protocol = read16(frame, at);
    }
    if (protocol != ETH_P_IP && protocol != ETH_P_IPV6) return view;
    view.l3 = at + 2;
    const auto packet = frame.subspan(view.l3);
    if (packet.empty() || packet[0] >> 4 != (protocol == ETH_P_IP ? 4 : 6)) return view;
    view.ip = read_packet(packet, view.packet);
    if (!view.ip) return view;
    const Segment segment = view.packet.family == SW_IPV4 ? find_in_ipv4(packet) : find_in_ipv6(packet);
    if (segment.tcp && segment.offset + tcp_header <= packet.size()) view.tcp = view.l3 + segment.offset;
    return view;
}

std::size_t Connections::Hash::operator()(const Key& key) const {
    std::uint64_t hash = std::uint64_t{key.client_port} << 16 | key.server_port;
    const auto mix = [&](std::uint32_t word) {
        hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
        hash ^= hash >> 29;
    };
    for (const std::uint32_t word : key.client) mix(word);
    for (const std::uint32_t word : key.server) mix(word);
    return hash;
}

Connections::Entry* Connections::find(const Key& key) {
    if (const auto found = fresh_.find(key); found != fresh_.end()) return &found->second;
    const auto found = old_.find(key);
    if (found == old_.end()) return nullptr;
    // In use: it shall not be forgotten with the old ones.
    const Entry kept = found->second;
    old_.erase(found);
    Entry& entry = make(key);
    entry = kept;
    return &entry;
}

Connections::Entry& Connections::make(const Key& key) {
    if (fresh_.size() >= most_ && !fresh_.contains(key)) old_ = std::exchange(fresh_, {});
    return fresh_[key];
}

void Connections::answered(const View& syn, std::span<const std::uint8_t> frame,
                           std::span<const std::uint8_t> reply) {
    const View view = read_frame(reply);
    if (!syn.tcp || !view.tcp) return;
    const FlowEvent& p = syn.packet;
    Entry& entry = make({p.source, p.destination, p.source_port, p.destination_port, p.family});
    entry = {};
    entry.origin = Origin::answered;
    entry.first = read32(frame, syn.tcp + 4);
    entry.cookie = read32(reply, view.tcp + 4);
    if (const std::size_t at = find_timestamp(reply, view.tcp)) {
        entry.stamped = true;
        entry.stamp = read32(reply, at);
    }
}

void Connections::passed(const View& syn) {
    const FlowEvent& p = syn.packet;
    Entry& entry = make({p.source, p.destination, p.source_port, p.destination_port, p.family});
    entry = {};
    entry.origin = Origin::passed;
}

void Connections::spoken(const View& sent) {
    const FlowEvent& p = sent.packet;
    const Key key{p.destination, p.source, p.destination_port, p.source_port, p.family};
    if (!find(key)) make(key).origin = Origin::passed;
}

Connections::Origin Connections::follow(const View& view, std::span<std::uint8_t> frame) {
    const FlowEvent& p = view.packet;
    Entry* entry = find({p.source, p.destination, p.source_port, p.destination_port, p.family});
    if (!entry) return Origin::unknown;
    if (entry->origin != Origin::answered || !(p.tcp_flags & packet_reader::flag_ack)) return entry->origin;
    const std::uint32_t acknowledged = read32(frame, view.tcp + 8);
    if (!entry->joined) {
        // Only what ends the handshake says which number the capture's server had chosen.
        if (read32(frame, view.tcp + 4) != entry->first + 1) return entry->origin;
        entry->joined = true;
        entry->shift = entry->cookie + 1 - acknowledged;
    }
    write32(frame, view.tcp + 8, acknowledged + entry->shift);
    if (!entry->stamped) return entry->origin;
    if (const std::size_t at = find_timestamp(frame, view.tcp)) {
        const std::uint32_t echoed = read32(frame, at + 4);
        if (!entry->stamp_joined) {
            entry->stamp_joined = true;
            entry->stamp_shift = entry->stamp - echoed;
        }
        write32(frame, at + 4, echoed + entry->stamp_shift);
    }
    return entry->origin;
}

}  // namespace synward::replay
