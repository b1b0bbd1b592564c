// SPDX-License-Identifier: GPL-2.0-or-later
// Where the BPF object synward.bpf.o is.
#pragma once

#include <string>

#include "lib/result.h"

namespace synward {

// `wanted` if not empty; else $SYNWARD_OBJECT; else ../xdp/synward.bpf.o from
// the executable (a build tree); else the installed one. Code `missing` names
// every place that was looked at.
[[nodiscard]] Result<std::string> find_object(const std::string& wanted = {});

}  // namespace synward
