// SPDX-License-Identifier: GPL-2.0-or-later
// JSON as the daemon's control socket and `synward -j` print it; one place, so
// that both print the same. Keys are documented in synward(8).
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "lib/events.h"
#include "lib/instance.h"
#include "lib/policy.h"
#include "lib/preflight.h"
#include "lib/stats.h"

namespace synward {

// {"total": {reason: n, ...}, "services": [{"name", "index", "packets": {...}}, ...]}
// Reasons that never happened are left out unless `all`.
[[nodiscard]] nlohmann::json stats_json(const Stats& stats, bool all = false);
// Those of the verdict ring and the classifier in the kernel module; null where it is not loaded.
[[nodiscard]] nlohmann::json module_stats_json(bool all = false);
// [{"name", "index", "mode", "delivery", "ports", "addresses", "armed", ...}, ...]
[[nodiscard]] nlohmann::json services_json(const CompiledPolicy& policy,
                                           const std::vector<ServiceState>& states);
// Everything of one interface: attachment, services, sources, notes.
[[nodiscard]] Result<nlohmann::json> status_json(const Instance& instance);
// {"rotated", "begins_in_seconds", "replaceable_in_seconds"}
[[nodiscard]] nlohmann::json rotation_json(const Rotation& rotation);
// `policy` gives service names; without it only the index is there.
[[nodiscard]] nlohmann::json event_json(const Event& event, const CompiledPolicy* policy = nullptr);
[[nodiscard]] nlohmann::json findings_json(const std::vector<Finding>& findings);

}  // namespace synward
