// SPDX-License-Identifier: GPL-2.0-or-later
// Counts what this thread asks of the heap, by malloc and thus by new.
#pragma once

#include <cstdint>

namespace synward {

[[nodiscard]] std::uint64_t allocations();

}  // namespace synward
