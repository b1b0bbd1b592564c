// SPDX-License-Identifier: GPL-2.0-or-later
// Sets as the commands of ipset that make them again.
#pragma once

#include <vector>

#include "lib/import/export.h"

namespace synward {

// As `ipset save` would write them, each once, lists after their members. `ipset restore` makes
// sets that hold, count and say the same; only the random start of their hash is another.
[[nodiscard]] Result<Export> export_commands(const std::vector<ExportedSet>& sets);

}  // namespace synward
