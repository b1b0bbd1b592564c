// SPDX-License-Identifier: GPL-2.0-or-later
// What synward counts, for Prometheus: made of the JSON of `status` and `stats`, so that
// all three say the same. Names follow prometheus.io/docs/practices/naming; they are
// documented in synwardd(8). A library of its own, since only programs need prometheus-cpp.
#pragma once

#include <prometheus/metric_family.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace synward {

// `status` as the daemon answers it, or {"interfaces": [status_json()...]} where none runs;
// `stats` with all reasons: {"interfaces": [...], "module": {...} or null}. What is not
// there gives no metric.
[[nodiscard]] std::vector<prometheus::MetricFamily> metric_families(const nlohmann::json& status,
                                                                    const nlohmann::json& stats);

// In Prometheus' text format.
[[nodiscard]] std::string metrics_text(const std::vector<prometheus::MetricFamily>& families);

}  // namespace synward
