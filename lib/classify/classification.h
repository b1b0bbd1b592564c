// SPDX-License-Identifier: GPL-2.0-or-later
// All that classification leaves in the kernel, to take it away again.
#pragma once

#include "lib/result.h"

namespace synward {

// The marker, whichever it is, and the one rule; of the caller's network namespace. The
// sets are the administrator's and stay, and so do marks that connections have. Goes on
// after an error; reports the first. Not an error if there is nothing.
Result<void> remove_classification();

}  // namespace synward
