// SPDX-License-Identifier: GPL-2.0-or-later
// The sets at the driver hook without a daemon: as they are now, once.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/instance.h"
#include "lib/result.h"
#include "lib/sets/mirror.h"

namespace synward {

struct MirrorSummary {
    std::vector<std::string> sets;  // that are there and fit
    std::size_t entries = 0;        // in force on the interface
    std::vector<std::string> problems;
};

// Puts the config's sources and the bound sets in force on the instance's interface, all
// at once. On an error the old ones stay. Not while a daemon runs, which does it itself.
Result<MirrorSummary> mirror_once(const Config& config, Instance& instance);
// The same for this interface, given to `write`; `careful`: not while a set that is there
// cannot be read, because entries of it may be in force.
Result<MirrorSummary> mirror_once(const Config& config, const Interface& interface,
                                  const SetMirror::Write& write, bool careful);

}  // namespace synward
