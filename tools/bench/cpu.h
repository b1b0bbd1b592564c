// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

namespace synward::bench {

// Pins the calling thread; -1 leaves it alone. Throws std::runtime_error.
void pin_to_cpu(int cpu);

}  // namespace synward::bench
