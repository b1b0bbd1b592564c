// SPDX-License-Identifier: GPL-2.0-or-later
// What the sets say of a connection that exists, of which conntrack knows less than the
// marker did when its first packet came.
#pragma once

#include "lib/classify/remark.h"
#include "lib/sets/index.h"

namespace synward {

// `index`: the sets that new connections are looked up in; `by_mark`: one of them looks at
// the packet's mark. The interface a connection came in by is not known: unless every
// interface, of the config or not, would get the same answer, it is unclear. What the
// packet's mark decided cannot be found again: unclear, where nothing else is found. Pure.
[[nodiscard]] Remarker::Answer class_of(const SetIndex& index, bool by_mark, const Connection& connection);

}  // namespace synward
