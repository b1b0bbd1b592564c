// SPDX-License-Identifier: GPL-2.0-or-later
// The marker of the kernel module: its hook looks new connections up in the bound sets.
#pragma once

#include <span>
#include <vector>

#include "lib/classify/binding.h"
#include "lib/result.h"

namespace synward {

// Of the caller's network namespace. Code `missing`: the module is not loaded;
// `unsupported`: it cannot look at sets.

// Binds these sets, in their order, in place of those that are bound; or nothing changes.
// Without any, connections get the class of their handshake.
Result<void> bind_module(std::span<const BoundSet> sets);
// Whether exactly these are bound. Of none: whether it marks.
Result<bool> module_has_bound(std::span<const BoundSet> sets);
// Not an error if the module is not loaded.
Result<void> unbind_module();

}  // namespace synward
