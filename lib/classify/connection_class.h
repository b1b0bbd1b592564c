// SPDX-License-Identifier: GPL-2.0-or-later
// What the sets say of a connection that exists, of which conntrack knows less than the
// marker did when its first packet came.
#pragma once

#include "lib/classify/remark.h"
#include "lib/sets/index.h"

namespace synward {

// `index`: the sets that new connections are looked up in. The interface a connection came
// in by is not known: unless every interface, of the config or not, would get the same
// answer, it is unclear. Neither is the mark of its first packet: unclear, if a set by
// packet mark has an entry for the source, unless a set before that one decides. Pure.
[[nodiscard]] Remarker::Answer class_of(const SetIndex& index, const Connection& connection);

}  // namespace synward
