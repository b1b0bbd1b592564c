// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "ruleset_lab.h"

namespace synward::bench {

// Megabits a second of one TCP connection into the host of the lab, in packets of 1,500 bytes.
// The caller's thread receives on `options.cpu`; another sends. Throws std::runtime_error.
double measure_bulk(const RulesetLab& lab, const LabOptions& options, double seconds);

}  // namespace synward::bench
