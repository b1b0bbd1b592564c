// SPDX-License-Identifier: GPL-2.0-or-later
// The reasons of lib/abi/reasons.h as a table: names, actions and texts for
// counters, JSON keys, metrics and documentation.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "lib/abi/reasons.h"

namespace synward {

// What the program does with a packet that leaves for a reason; see lib/abi/reasons.h.
enum class ReasonAction { PASS, DROP, TX, POLICY, TC, RING };

struct Reason {
    std::string_view name;
    ReasonAction action;
    std::string_view text;
};

// Indexed by enum sw_reason.
inline constexpr std::array<Reason, SW_REASON_COUNT> reasons{{
#define X(NAME, name, action, text) {#name, ReasonAction::action, text},
    SW_REASONS(X)
#undef X
}};

// The reason's name; "unknown" for a number this version has no name for.
[[nodiscard]] constexpr std::string_view reason_name(unsigned reason) {
    return reason < reasons.size() ? reasons[reason].name : std::string_view("unknown");
}

[[nodiscard]] constexpr std::optional<sw_reason> find_reason(std::string_view name) {
    for (unsigned i = 0; i < reasons.size(); i++)
        if (reasons[i].name == name) return static_cast<sw_reason>(i);
    return std::nullopt;
}

// "pass", "drop", "tx", "policy", "tc", "ring"
[[nodiscard]] constexpr std::string_view reason_action_name(ReasonAction action) {
    constexpr std::array<std::string_view, 6> names{"pass", "drop", "tx", "policy", "tc", "ring"};
    return names[static_cast<unsigned>(action)];
}

}  // namespace synward
