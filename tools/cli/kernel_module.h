// SPDX-License-Identifier: GPL-2.0-or-later
// Whether the kernel module may be asked something.
#pragma once

#include <unistd.h>

#include "lib/escalation/ring.h"

namespace synward::cli {

// By its device: to ask by genetlink has the kernel load it where it is not loaded.
[[nodiscard]] inline bool module_loaded() {
    return access(RingOptions().device.c_str(), F_OK) == 0;
}

}  // namespace synward::cli
