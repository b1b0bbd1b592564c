// SPDX-License-Identifier: GPL-2.0-or-later
#include "oracle.h"

#include <linux/bpf.h>

#include <algorithm>

#include "cookie.h"
#include "reply.h"
#include "shape.h"

namespace synward::bpf_test {

Kind kind_of(sw_reason reason) {
    enum : int { PASS, DROP, TX, POLICY, TC, RING };
    static constexpr int kKinds[] = {
#define X(NAME, name, action, text) action,
        SW_REASONS(X)
#undef X
    };
    return static_cast<Kind>(kKinds[reason]);
}

bool is_bad_source(const Address& source, const Address& destination) {
    if (source == destination) return true;
    if (source.size() == 4) return source[0] == 0 || source[0] == 127 || source[0] >= 224;
    if (source[0] == 0xff) return true;  // multicast
    static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::equal(mapped.begin(), mapped.end(), source.begin())) return true;
    return std::all_of(source.begin(), source.end() - 1, [](auto byte) { return byte == 0; }) &&
           source.back() <= 1;  // :: and ::1
}

std::pair<sw_reason, unsigned> Oracle::decide(const Segment& s) const {
    const sw_config& config = policy_.config;
    if (config.abi == 0) return {SW_REASON_NO_POLICY, kNone};
    const unsigned index = s.port ? policy_.service_of(s.destination, *s.port) : kNone;
    const sw_service& service = policy_.services[index];
    const bool group = s.mac_destination[0] & 1;
    const bool for_others =
        group || ((config.flags & SW_FLAG_CHECK_MAC) &&
                  !std::equal(s.mac_destination.begin(), s.mac_destination.end(), config.mac));
    if (s.fault && !s.port) {
        const bool judged = kind_of(*s.fault) == Kind::policy;
        return {judged && for_others ? SW_REASON_NOT_OURS : *s.fault, kNone};
    }
    if (index == kNone) return {SW_REASON_NO_SERVICE, kNone};
    if (service.mode == SW_MODE_OFF) return {SW_REASON_SERVICE_OFF, index};

    if (for_others) return {SW_REASON_NOT_OURS, index};
    switch (policy_.fate_of(s.source, s.port.value_or(0))) {
        case SW_FATE_DENY:
            return {SW_REASON_SOURCE_DENIED, index};
        case SW_FATE_ALLOW:
            return {SW_REASON_SOURCE_ALLOWED, index};
        default:
            break;
    }
    if (s.fault) return {decided_before(s, index, *s.fault), index};
    if (service.mode != SW_MODE_COOKIE && !policy_.states[index].armed)
        return {SW_REASON_SERVICE_IDLE, index};
    return {decided_before(s, index, decide_armed(s, index)), index};
}

unsigned Oracle::action_of(sw_reason reason, unsigned index) const {
    const sw_service& service = policy_.services[index];
    switch (reason) {
        case SW_REASON_FRAGMENT:
            return index == kNone ? policy_.config.fragment : service.fragment;
        case SW_REASON_SYN_ODD:
            return service.odd_syn;
        case SW_REASON_ESCALATE_LIMIT:
            return service.escalate_default;
        case SW_REASON_STRAY_ACK:
        case SW_REASON_STRAY_SYNACK:
        case SW_REASON_STRAY_RST:
        case SW_REASON_STRAY_OTHER:
            return service.stray;
        default:
            return index == kNone ? policy_.config.malformed : service.malformed;
    }
}

sw_reason Oracle::decided_before(const Segment& s, unsigned index, sw_reason reason) const {
    // SYNs have their own tickets, which decide_syn() looks at.
    if (kind_of(reason) != Kind::policy || reason == SW_REASON_SYN_ODD) return reason;
    if (action_of(reason, index) != SW_ACTION_ESCALATE || policy_.services[index].mode == SW_MODE_MONITOR)
        return reason;
    sw_doubt doubt = SW_DOUBT_MALFORMED;
    if (reason == SW_REASON_FRAGMENT) doubt = SW_DOUBT_FRAGMENT;
    if (reason == SW_REASON_STRAY_ACK || reason == SW_REASON_STRAY_SYNACK || reason == SW_REASON_STRAY_RST ||
        reason == SW_REASON_STRAY_OTHER)
        doubt = SW_DOUBT_STRAY;
    const auto ticket = policy_.ticket(index, doubt, s.source);
    if (!ticket) return reason;
    return *ticket == SW_ACTION_DROP ? SW_REASON_TICKET_DROP : SW_REASON_TICKET_PASS;
}

// Of a SYN that a plain listener would get.
sw_reason Oracle::decide_syn(const Segment& s, unsigned index) const {
    const sw_service& service = policy_.services[index];
    if (service.odd_syn == SW_ACTION_PASS || is_usual(s.options)) return SW_REASON_SYN_ANSWERED;
    if (service.odd_syn == SW_ACTION_DROP || service.mode == SW_MODE_MONITOR) return SW_REASON_SYN_ODD;
    auto ticket = policy_.ticket(index, shape_of(s));
    if (!ticket) ticket = policy_.ticket(index, SW_DOUBT_SYN, s.source);
    if (!ticket) return SW_REASON_SYN_ODD;
    return *ticket == SW_ACTION_DROP ? SW_REASON_TICKET_DROP : SW_REASON_SYN_ANSWERED;
}

sw_reason Oracle::decide_armed(const Segment& s, unsigned index) const {
    const unsigned flags = s.flags & (kFin | kSyn | kRst | kAck);
    const bool behind = policy_.services[index].delivery == SW_DELIVERY_SYNPROXY;
    if (!flags || ((flags & kSyn) && (flags & (kFin | kRst)))) return SW_REASON_BAD_FLAGS;
    if (is_bad_source(s.source, s.destination)) return SW_REASON_BAD_SOURCE;
    if (flags == kSyn) {
        if (behind) return decide_syn(s, index);
        switch (listener(s.destination, *s.port)) {
            case SW_LISTENER_NONE:
                return SW_REASON_SYN_NO_LISTENER;
            case SW_LISTENER_MPTCP:
                return SW_REASON_SYN_MPTCP;
            case SW_LISTENER_FORWARDED:
                return SW_REASON_SYN_FORWARDED;
            default:
                return decide_syn(s, index);
        }
    }
    if (flags == kAck || flags == (kAck | kFin))
        if (policy_.services[index].delivery == SW_DELIVERY_REQSK &&
            verify(s, epoch_, policy_.config.keyring))
            return SW_REASON_ACK_VALIDATED;
    if (!behind) {
        const auto kind = listener(s.destination, *s.port);
        if (kind == SW_LISTENER_NONE || kind == SW_LISTENER_FORWARDED) return SW_REASON_NO_LISTENER;
    }
    if (flags & kSyn) return SW_REASON_STRAY_SYNACK;
    if (flags & kRst) return SW_REASON_STRAY_RST;
    return flags & kAck ? SW_REASON_STRAY_ACK : SW_REASON_STRAY_OTHER;
}

Expectation Oracle::judge(View frame) const {
    const auto [reason, service] = decide(dissect(frame));
    return outcome(frame, reason, service);
}

Expectation Oracle::outcome(View frame, sw_reason reason, unsigned index) const {
    const sw_service& service = policy_.services[index];
    Expectation e{.reason = reason,
                  .service = index,
                  .action = XDP_PASS,
                  .frame = Bytes(frame.begin(), frame.end()),
                  .metadata = {}};
    if (index != kNone && service.mode == SW_MODE_MONITOR) return e;

    const Segment s = dissect(frame);
    const auto metadata = [&](sw_class kind, std::uint8_t option_byte, std::size_t tcp_offset) {
        e.metadata = sw_metadata{.magic = SW_METADATA_MAGIC,
                                 .class_ = static_cast<std::uint8_t>(kind),
                                 .reason = static_cast<std::uint8_t>(reason),
                                 .service = static_cast<std::uint8_t>(index),
                                 .options = option_byte,
                                 .tcp_offset = static_cast<std::uint16_t>(tcp_offset)};
    };
    switch (kind_of(reason)) {
        case Kind::drop:
            e.action = XDP_DROP;
            break;
        case Kind::tx:
            e.action = XDP_TX;
            e.frame = expected_reply(frame, s, service, epoch_, policy_.config.keyring);
            break;
        case Kind::policy: {
            const unsigned action = action_of(reason, index);
            if (action == SW_ACTION_DROP) e.action = XDP_DROP;
            if (action == SW_ACTION_ESCALATE) metadata(SW_CLASS_ESCALATE, 0, 0);  // there may be no TCP
            break;
        }
        default:
            if (service.delivery != SW_DELIVERY_REQSK) break;
            if (reason != SW_REASON_ACK_VALIDATED && reason != SW_REASON_ACK_REVALIDATED &&
                reason != SW_REASON_ACK_FOLLOWS)
                break;
            metadata(reason == SW_REASON_ACK_FOLLOWS ? SW_CLASS_FOLLOWS : SW_CLASS_HANDSHAKE,
                     verify(s, epoch_, policy_.config.keyring).value_or(0), s.transport - s.ip);
    }
    return e;
}

}  // namespace synward::bpf_test
