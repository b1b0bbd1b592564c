// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/event.h"

#include "lib/escalation/packet_reader.h"

namespace synward {
namespace {

constexpr EventKind kind_of(sw_reason reason) {
    switch (reason) {
        case SW_REASON_SYN_ODD:
            return EventKind::syn;
        case SW_REASON_STRAY_ACK:
        case SW_REASON_STRAY_OTHER:
            return EventKind::stray;
        case SW_REASON_STRAY_SYNACK:
            return EventKind::synack;
        case SW_REASON_STRAY_RST:
            return EventKind::reset;
        case SW_REASON_FRAGMENT:
            return EventKind::fragment;
        case SW_REASON_BAD_ETHERNET:
        case SW_REASON_BAD_IP:
        case SW_REASON_BAD_EXTENSION:
        case SW_REASON_BAD_TCP:
        case SW_REASON_BAD_FLAGS:
        case SW_REASON_BAD_SOURCE:
            return EventKind::malformed;
        default:
            return EventKind::other;
    }
}

// Once for each reason: a packet costs one load.
constexpr auto kinds = [] {
    std::array<EventKind, SW_REASON_COUNT> table{};
    for (unsigned i = 0; i < SW_REASON_COUNT; ++i) table[i] = kind_of(static_cast<sw_reason>(i));
    return table;
}();

}  // namespace

EventKind event_kind(sw_reason reason) {
    return kinds[reason];
}

std::optional<sw_doubt> event_doubt(EventKind kind) {
    switch (kind) {
        case EventKind::syn:
            return SW_DOUBT_SYN;
        case EventKind::stray:
        case EventKind::synack:
        case EventKind::reset:
            return SW_DOUBT_STRAY;
        case EventKind::fragment:
            return SW_DOUBT_FRAGMENT;
        case EventKind::malformed:
            return SW_DOUBT_MALFORMED;
        case EventKind::handshake:
        case EventKind::shape:
        case EventKind::other:
            break;
    }
    return std::nullopt;
}

void set_reason(FlowEvent& event, unsigned reason) {
    event.reason = reason < SW_REASON_COUNT ? static_cast<sw_reason>(reason) : SW_REASON_NO_POLICY;
    event.kind = event_kind(event.reason);
}

bool read_packet(std::span<const std::uint8_t> bytes, FlowEvent& event) {
    return packet_reader::read(bytes, event);
}

}  // namespace synward
