// SPDX-License-Identifier: GPL-2.0-or-later
// A plan into the kernel of the caller's network namespace.
#pragma once

#include <string>
#include <vector>

#include "lib/classify/fates.h"
#include "lib/import/plan.h"

namespace synward {

struct Applied {
    std::vector<std::string> replaced;  // sets that were there and have new entries
    std::vector<std::string> unused;    // sets of an earlier import of this name, without a use now
};

// Makes the sets beside those that are there, puts all in their place, then installs the
// one rule (lib/classify/fate_rule.h). What fails takes back what was done. Code `busy`
// for a set of that name that is of another type.
Result<Applied> apply_plan(const Plan& plan, const std::string& name, const Fates& fates);

}  // namespace synward
