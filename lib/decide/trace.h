// SPDX-License-Identifier: GPL-2.0-or-later
// Events as text: recorded by the daemon or by hand, replayed by tests.
//
//     synward-trace 1
//     # TIME KIND SOURCE DESTINATION [KEY=VALUE]...
//     0 handshake 198.18.0.7:40000 203.0.113.1:443
//     1500 stray [2001:db8::7]:40000 [2001:db8::1]:443 reason=stray_ack flags=0x10 ttl=57
//     2000 syn 198.18.9.1:1024 203.0.113.1:443 reason=syn_odd shape=0x20408/32/64/7
//
// TIME is in microseconds and never decreases. Keys: reason (of SW_REASONS),
// flags, ttl, window, length, protocol, interface (index), mark, and shape:
// layout/header bytes/initial hops/wscale, "-" for no wscale. What is left out
// is 0. Numbers may be hexadecimal. Empty lines and those that begin with # are
// skipped.
//
// A recording also says what the decision went by and what it was:
//
//     chain=2                    whose: each worker has a chain, handshakes and shapes have another
//     known=source               what the kernel had of a stray: none, source, flow; old-source of a
//                                filter that is too old to know; not there: nobody had read lately
//     decided=drop/unknown_flow  verdict in force, and reason
//     actions=stray-drop,report  tickets by doubt and action, deny, report; also those of a dry run
//
// Its TIME is that of the decision, and decreases for none of its chains; between two of them it may.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/decide/decision.h"
#include "lib/escalation/event.h"
#include "lib/result.h"

namespace synward {

// The first line of a trace, without its newline.
inline constexpr std::string_view trace_header = "synward-trace 1";

inline constexpr std::size_t trace_events_most = 1'000'000;
inline constexpr std::size_t trace_line_most = 4096;  // bytes, comments too

// A decision as far as a trace has it. Plain data.
struct TracedDecision {
    sw_verdict_kind verdict = SW_VERDICT_ACCEPT;
    DecisionReason reason = DecisionReason::service_default;
    std::uint16_t actions = 0;  // wanted: a bit for each word of `actions=`

    TracedDecision() = default;
    explicit TracedDecision(const Decision& decision);
    bool operator==(const TracedDecision&) const = default;
};
// "stray-drop,report"; empty for none.
[[nodiscard]] std::string traced_actions(std::uint16_t actions);

// An event, and what a recording has of its decision. Plain data.
struct TraceEntry {
    FlowEvent event;
    std::uint16_t chain = 0;
    KnownFlow known = KnownFlow::none;
    bool flows_read = false;  // lately: whatever is not known is unknown
    std::optional<TracedDecision> decided;
};
// What the daemon records of a decision at `now`; `flows_read` as Chain::flows_read() says. Allocates
// nothing. Of a kind that is only remembered there is no decision.
[[nodiscard]] TraceEntry trace_entry(const FlowEvent& event, std::uint64_t now, const Decision& decision,
                                     bool flows_read);
// The clock of decisions as a trace has it: ns, in whole microseconds.
[[nodiscard]] constexpr std::uint64_t trace_time(std::uint64_t now) {
    return now / 1000 * 1000;
}

// One line, without a newline. FlowEvent::id is not recorded; time is cut to microseconds.
[[nodiscard]] std::string trace_line(const FlowEvent& event);
[[nodiscard]] std::string trace_line(const TraceEntry& entry);
// In the order of their time, numbered from 1 by `id`. Code `config` names `name`, the
// line and what is wrong. At most trace_events_most events. Pure.
[[nodiscard]] Result<std::vector<TraceEntry>> parse_recording(std::string_view text, std::string_view name);
// The same of what is left of a file, a line at a time: a trace may be larger than the memory.
[[nodiscard]] Result<std::vector<TraceEntry>> read_recording(std::FILE* file, std::string_view name);
// The events alone.
[[nodiscard]] Result<std::vector<FlowEvent>> parse_trace(std::string_view text, std::string_view name);

}  // namespace synward
