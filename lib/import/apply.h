// SPDX-License-Identifier: GPL-2.0-or-later
// A plan into the kernel of the caller's network namespace.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/classify/fates.h"
#include "lib/import/plan.h"

namespace synward {

struct Applied {
    std::vector<std::string> replaced;  // sets that were there and have new entries
    std::vector<std::string> unused;    // sets of an earlier import of this name, without a use now
    std::vector<std::string> left;      // sets NAME-new of old entries that something still reads
};

// Makes the sets beside those that are there, installs the one rule
// (lib/classify/fate_rule.h), then puts all sets in their place. What fails takes back what
// was done, but for a rule that was there and was mended. The kernel refuses to move a set
// while somebody reads it: each such step is tried for as long as `patience`. Old entries
// are never destroyed before the new ones are in place; where they cannot be put back, the
// error tells where they are. Code `busy` for a set of that name that is of another type.
Result<Applied> apply_plan(const Plan& plan, const std::string& name, const Fates& fates,
                           std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace synward
