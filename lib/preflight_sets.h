// SPDX-License-Identifier: GPL-2.0-or-later
// Do the ipsets of this host fit what [classify] and [decide] want of them?
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/preflight.h"
#include "lib/sets/reader.h"

namespace synward {

struct SetsThere {
    std::vector<SetHeader> headers;  // of sets that the config names, and of members of lists
    std::map<std::string, std::vector<std::string>> members;  // of lists, in their order
};

// Of the caller's network namespace; reads no entries but those of lists. Without privilege it
// is a finding that nothing was seen, where the config depends on sets.
[[nodiscard]] std::vector<Finding> look_at_sets(const Config& config);

// Pure parts.
// classify.sets, which act at the driver hook in any case.
[[nodiscard]] std::vector<Finding> check_bound_sets(const Config& config, const SetsThere& there);
// decide.deny_set4 and deny_set6, where something is escalated.
[[nodiscard]] std::vector<Finding> check_deny_sets(const Config& config, const SetsThere& there);

}  // namespace synward
