// SPDX-License-Identifier: GPL-2.0-or-later
// The clock that the program reads: jiffies, by a program of two instructions.
#pragma once

#include <cstdint>

namespace synward::bpf_test {

// bpf_jiffies64() of this moment.
std::uint64_t ticks();

// Ticks a second, from the resolution of CLOCK_MONOTONIC_COARSE.
std::uint32_t ticks_per_second();

}  // namespace synward::bpf_test
