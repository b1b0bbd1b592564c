// SPDX-License-Identifier: GPL-2.0-or-later
// An event for people.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

namespace synward::cli {

// One line of an event as event_json() makes it, with "interface". `now` is the
// same moment by the clock of the event and by the calendar. Pure.
[[nodiscard]] std::string event_line(const nlohmann::json& event, std::chrono::nanoseconds monotonic_now,
                                     std::chrono::system_clock::time_point now);

}  // namespace synward::cli
