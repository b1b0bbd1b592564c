// SPDX-License-Identifier: GPL-2.0-or-later
// The findings of preflight(), for people.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "lib/preflight.h"
#include "lib/result.h"

namespace synward::cli {

// `findings` as findings_json() makes them; nothing is printed when there are none.
void print_findings(const nlohmann::json& findings);

// An error when one of them is an error, so that scripts notice.
[[nodiscard]] Result<void> judge(const std::vector<Finding>& findings);

}  // namespace synward::cli
