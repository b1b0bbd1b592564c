// SPDX-License-Identifier: GPL-2.0-or-later
// The filter at the clsact ingress hook that runs the program synward_tc.
#pragma once

#include "lib/interface.h"
#include "lib/result.h"

namespace synward {

// Is our filter there?
[[nodiscard]] Result<bool> tc_attached(const Interface& interface);

// Attaches, replacing an older program of ours atomically; code `busy` when our
// place is taken by somebody else's. Returns whether clsact had to be made.
Result<bool> attach_tc(const Interface& interface, int program_fd);

// Takes our filter off, if it is there; with `clsact` also the hook itself
// unless other filters hang on it. Returns whether there was a filter.
Result<bool> detach_tc(const Interface& interface, bool clsact);

}  // namespace synward
