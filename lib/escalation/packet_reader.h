// SPDX-License-Identifier: GPL-2.0-or-later
// How read_packet() (lib/escalation/event.h) reads, as an inline function for
// the transports, where a call for each packet counts.
#pragma once

#include <netinet/in.h>

#include <cstring>

#include "lib/escalation/event.h"
#include "xdp/options.h"

namespace synward::packet_reader {

inline constexpr std::size_t ipv4_header = 20;
inline constexpr std::size_t ipv6_header = 40;
inline constexpr std::size_t tcp_header = 20;
// As many as XDP follows (PARSE_EXTENSIONS of xdp/parse.h).
inline constexpr int most_extensions = 6;

inline constexpr std::uint8_t flag_syn = 0x02;
inline constexpr std::uint8_t flag_ack = 0x10;

inline std::uint16_t read16(std::span<const std::uint8_t> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// Where the transport header begins, and what it is. `tcp` only where a TCP
// header may be looked for there: not in a later fragment.
struct Segment {
    std::size_t offset = 0;
    std::uint8_t protocol = 0;
    bool tcp = false;
};

[[gnu::always_inline]] inline Segment find_in_ipv4(std::span<const std::uint8_t> bytes) {
    Segment found;
    found.offset = std::size_t{bytes[0] & 0xfu} * 4;
    found.protocol = bytes[9];
    const bool first = (read16(bytes, 6) & 0x1fff) == 0;
    found.tcp = found.protocol == IPPROTO_TCP && first && found.offset >= ipv4_header;
    return found;
}

inline bool is_extension(std::uint8_t next) {
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
           next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

inline Segment find_in_ipv6(std::span<const std::uint8_t> bytes) {
    Segment found;
    found.offset = ipv6_header;
    found.protocol = bytes[6];
    bool first = true;
    for (int i = 0; i < most_extensions && is_extension(found.protocol); ++i) {
        if (found.offset + 8 > bytes.size()) return found;
        const std::size_t length = bytes[found.offset + 1];
        std::size_t skip = (length + 1) * 8;
        if (found.protocol == IPPROTO_FRAGMENT) {
            skip = 8;
            if (read16(bytes, found.offset + 2) & 0xfff8) first = false;
        } else if (found.protocol == IPPROTO_AH) {
            skip = (length + 2) * 4;
        }
        found.protocol = bytes[found.offset];
        found.offset += skip;
        // What a later fragment goes on with cannot be read as a header (RFC 8200, 4.5).
        if (!first) return found;
    }
    found.tcp = found.protocol == IPPROTO_TCP;
    return found;
}

// The shape as XDP sees it (escalate_shape_of in xdp/escalate.h), so that a
// ticket for it is found there. All zero if the options were not captured whole.
inline sw_shape read_shape(std::span<const std::uint8_t> tcp, std::uint8_t ttl, sw_family family) {
    const std::size_t header = std::size_t{tcp[12]} >> 4 << 2;
    if (header < tcp_header || header > tcp.size()) return {};
    options read{};
    options_any(tcp.data() + tcp_header, tcp.data() + tcp.size(),
                static_cast<std::uint32_t>(header - tcp_header), &read);
    sw_shape shape{};
    shape.layout = read.layout;
    shape.header = static_cast<std::uint8_t>(header);
    shape.hops = sw_shape_hops(ttl);
    shape.wscale = read.found & SW_OPTION_WSCALE ? read.wscale : SW_SHAPE_NO_WSCALE;
    shape.family = static_cast<std::uint8_t>(family);
    return shape;
}

[[gnu::always_inline]] inline void read_tcp(std::span<const std::uint8_t> tcp, FlowEvent& event) {
    if (tcp.size() < tcp_header) return;
    event.source_port = read16(tcp, 0);
    event.destination_port = read16(tcp, 2);
    event.tcp_flags = tcp[13];
    event.window = read16(tcp, 14);
    if ((event.tcp_flags & (flag_syn | flag_ack)) == flag_syn)
        event.shape = read_shape(tcp, event.ttl, event.family);
}

// As read_packet().
[[gnu::always_inline]] inline bool read(std::span<const std::uint8_t> bytes, FlowEvent& event) {
    const unsigned version = bytes.empty() ? 0 : bytes[0] >> 4;
    Segment segment;
    if (version == 4 && bytes.size() >= ipv4_header) {
        event.family = SW_IPV4;
        event.ttl = bytes[8];
        event.source = event.destination = {};
        std::memcpy(event.source.data(), &bytes[12], 4);
        std::memcpy(event.destination.data(), &bytes[16], 4);
        segment = find_in_ipv4(bytes);
    } else if (version == 6 && bytes.size() >= ipv6_header) {
        event.family = SW_IPV6;
        event.ttl = bytes[7];
        std::memcpy(event.source.data(), &bytes[8], 16);
        std::memcpy(event.destination.data(), &bytes[24], 16);
        segment = find_in_ipv6(bytes);
    } else {
        return false;
    }
    event.protocol = segment.protocol;
    event.source_port = event.destination_port = event.window = 0;
    event.tcp_flags = 0;
    event.shape = {};
    if (segment.tcp && segment.offset < bytes.size()) read_tcp(bytes.subspan(segment.offset), event);
    return true;
}

}  // namespace synward::packet_reader
