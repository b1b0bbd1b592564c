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
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/escalation/event.h"
#include "lib/result.h"

namespace synward {

// The first line of a trace, without its newline.
inline constexpr std::string_view trace_header = "synward-trace 1";

// One line, without a newline. FlowEvent::id is not recorded; time is cut to microseconds.
[[nodiscard]] std::string trace_line(const FlowEvent& event);
// Events in order, numbered from 1 by `id`. Code `config` names `name`, the line
// and what is wrong. At most 1,000,000 events. Pure.
[[nodiscard]] Result<std::vector<FlowEvent>> parse_trace(std::string_view text, std::string_view name);

}  // namespace synward
