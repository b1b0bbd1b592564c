// SPDX-License-Identifier: GPL-2.0-or-later
// The words for the enums of lib/abi/policy.h, as config, CLI and JSON spell them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/abi/event.h"
#include "lib/abi/policy.h"

namespace synward {

[[nodiscard]] std::string_view mode_name(unsigned mode);          // off, monitor, auto, cookie
[[nodiscard]] std::string_view delivery_name(unsigned delivery);  // auto, reqsk, kernel, synproxy
[[nodiscard]] std::string_view action_name(unsigned action);      // pass, drop, escalate
[[nodiscard]] std::string_view fate_name(unsigned fate);          // none, deny, allow, check
[[nodiscard]] std::string_view event_name(unsigned type);         // armed, overflow, disarmed, sample
[[nodiscard]] std::string_view event_text(unsigned type);         // a sentence

// Nothing for a word that is not one of the above.
[[nodiscard]] std::optional<sw_mode> parse_mode(std::string_view word);
[[nodiscard]] std::optional<sw_delivery> parse_delivery(std::string_view word);
[[nodiscard]] std::optional<sw_action> parse_action(std::string_view word);

// "sack, timestamps, wscale" of a SW_OPTION_* set; "none" for the empty one.
[[nodiscard]] std::string options_text(unsigned options);

}  // namespace synward
