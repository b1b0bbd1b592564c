// SPDX-License-Identifier: GPL-2.0-or-later
// What the deciders see of a packet or of a handshake, whichever way it came up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/abi/escalate.h"
#include "lib/abi/metadata.h"
#include "lib/abi/reasons.h"
#include "lib/abi/ring.h"

namespace synward {

// A flow's life as far as anybody asks us about it.
enum class EventKind : std::uint8_t {
    syn,        // unusual SYN (reason syn_odd)
    stray,      // segment of no known connection, cookie wrong or none
    synack,     // SYN-ACK to nothing we sent
    reset,      // RST of no known connection
    fragment,   // IP fragment
    malformed,  // what the parser objected to
    handshake,  // a source proved itself by a good cookie; no packet, no verdict
    shape,      // SYN seen while nothing was armed; no packet, no verdict
    other,      // escalated for a reason this version does not know
};

// An address as the maps and tickets hold it: network byte order, IPv4 in the first word.
using RawAddress = std::array<std::uint32_t, 4>;

// Plain data: copied freely, no ownership. Ports, window and lengths are in host byte order.
struct FlowEvent {
    std::uint64_t id = 0;    // the transport's name for the packet; 0: nobody waits for a verdict
    std::uint64_t time = 0;  // ns, CLOCK_MONOTONIC
    RawAddress source{};
    RawAddress destination{};
    sw_shape shape{};  // kinds syn and shape
    std::uint32_t mark = 0;
    std::uint32_t ifindex = 0;
    std::uint32_t length = 0;  // of the packet from its IP header, bytes
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    std::uint16_t window = 0;
    EventKind kind = EventKind::other;
    sw_family family = SW_IPV4;
    sw_reason reason = SW_REASON_NO_POLICY;
    std::uint8_t protocol = 0;   // IPPROTO_*
    std::uint8_t tcp_flags = 0;  // byte 13 of the TCP header
    std::uint8_t ttl = 0;        // or hop limit
};

// A packet's verdict. SW_VERDICT_ACCEPT or SW_VERDICT_DROP.
struct Verdict {
    std::uint64_t id = 0;
    sw_verdict_kind kind = SW_VERDICT_ACCEPT;
    std::uint32_t mark = 0;  // new mark = (old & ~mask) | (mark & mask)
    std::uint32_t mask = 0;
};

[[nodiscard]] EventKind event_kind(sw_reason reason);
// Sets reason and kind from a number that came from outside; SW_REASON_NO_POLICY
// and `other` if it is no enum sw_reason.
void set_reason(FlowEvent& event, unsigned reason);
// The kind of ticket that would have kept the packet from coming up; nothing for other kinds.
[[nodiscard]] std::optional<sw_doubt> event_doubt(EventKind kind);
// Why the packet was escalated, from its mark; SW_REASON_COUNT or more: not said by us.
[[nodiscard]] constexpr unsigned escalation_reason(std::uint32_t mark) {
    return (mark & SW_MARK_ESCALATE)
               ? (mark & (SW_MARK_ESCALATE_MASK & ~SW_MARK_ESCALATE)) >> SW_MARK_REASON_SHIFT
               : unsigned{SW_REASON_COUNT};
}

// Fills addresses, ports, flags, ttl, window, shape, family and protocol from the
// first bytes of a packet, which begin with its IP header; leaves the rest alone.
// False if not even the IP header can be read: then nothing is changed. A packet
// without a readable TCP header keeps ports and flags 0. Pure.
bool read_packet(std::span<const std::uint8_t> bytes, FlowEvent& event);

}  // namespace synward
