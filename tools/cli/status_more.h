// SPDX-License-Identifier: GPL-2.0-or-later
// What `synward status` tells on request: counters, and what is inside.
#pragma once

#include <nlohmann/json.hpp>

#include "lib/instance.h"
#include "lib/result.h"

namespace synward::cli {

// {"maps": [{"name", "entries", "bytes"}, ...], "flows", "tickets", "key_age_seconds", ...}
[[nodiscard]] Result<nlohmann::json> details_json(const Instance& instance);
// What of the kernel and its settings shapes policies.
[[nodiscard]] nlohmann::json host_json();

// `statistics` as stats_json() makes it.
void print_statistics(const nlohmann::json& statistics);
void print_details(const nlohmann::json& details);
void print_host(const nlohmann::json& host);

}  // namespace synward::cli
