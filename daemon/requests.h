// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket's commands do.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lib/result.h"

namespace synward {

class Daemon;

// Commands: status [interface], stats [interface], reload, mode service mode
// [interface], rotate [interface], learn [interface], why address, set name.
[[nodiscard]] Result<nlohmann::json> answer_request(Daemon& daemon, const nlohmann::json& request);

// The same numbers in Prometheus' text format.
[[nodiscard]] Result<std::string> metrics_of(Daemon& daemon);

}  // namespace synward
