// SPDX-License-Identifier: GPL-2.0-or-later
// The clock of events, verdicts and decisions.
#pragma once

#include <time.h>

#include <cstdint>

namespace synward {

// ns, CLOCK_MONOTONIC; by the vDSO, so no system call.
[[nodiscard]] inline std::uint64_t monotonic_now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace synward
