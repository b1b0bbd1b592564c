// SPDX-License-Identifier: GPL-2.0-or-later
// What ipset says, in words that an administrator can act upon.
#pragma once

#include "lib/result.h"
#include "lib/sets/reader.h"

namespace synward {

// What ipset said (lib/sets/ipset.h) with what to do about it, where that is known;
// `header` of the set as it was, or was to be. Pure.
[[nodiscard]] Error explain(Error error, const SetHeader& header);

}  // namespace synward
