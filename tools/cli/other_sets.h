// SPDX-License-Identifier: GPL-2.0-or-later
// What other bound sets have to say about sources of which one set was changed.
#pragma once

#include <string>
#include <vector>

#include "lib/address.h"
#include "lib/sets/reader.h"

namespace synward::cli {

// For an administrator; empty where nothing else decides. `bound` in their order, `changed` is one
// of them or not. `forget`: any other set counts, else those that are asked before. Sets of more
// than a hundred thousand entries are not looked at, and nothing where there are many sources.
[[nodiscard]] std::vector<std::string> notes_on_other_sets(SetReader& reader,
                                                           const std::vector<std::string>& bound,
                                                           const std::string& changed,
                                                           const std::vector<Prefix>& sources, bool forget);

}  // namespace synward::cli
