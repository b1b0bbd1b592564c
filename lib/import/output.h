// SPDX-License-Identifier: GPL-2.0-or-later
// A plan as the files that an administrator loads, and the sets read back from them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/import/plan.h"

namespace synward {

struct ImportFile {
    std::string name;
    std::string text;
};

// sets.ipset is for `ipset restore`, rule.nft for `nft -f` (packaging/synward.nft explains
// it), classify.toml for synwardd.
[[nodiscard]] std::vector<ImportFile> plan_files(const Plan& plan);
// mangle4.iptables and mangle6.iptables do without synwardd and its module; of the
// families that have sets.
[[nodiscard]] std::vector<ImportFile> mangle_files(const Plan& plan);

// The commands that make and fill a set, as after the word "ipset", under this name; the
// first error of `take` ends it.
Result<void> each_command(const PlannedSet& set, const std::string& name,
                          const std::function<Result<void>(const std::string&)>& take);

// The sets that the text of sets.ipset makes, in its order. Code `config`, with the line,
// for what it does not understand: it reads what plan_files() writes.
[[nodiscard]] Result<std::vector<PlannedSet>> read_sets(std::string_view text);

}  // namespace synward
