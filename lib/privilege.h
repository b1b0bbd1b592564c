// SPDX-License-Identifier: GPL-2.0-or-later
// What the process may do.
#pragma once

#include <string>

namespace synward {

// Capabilities without which synward can do nothing in the kernel and that the process
// lacks, as "CAP_NET_ADMIN, CAP_SYS_ADMIN"; empty if it has them all, or if /proc does not
// tell. CAP_SYS_ADMIN, because CAP_BPF loads a program but does not find one by its id.
[[nodiscard]] std::string missing_capabilities();

}  // namespace synward
