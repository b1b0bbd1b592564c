// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>

namespace synward::bpf_test {

// Asks until it is true; false if it is not within ten seconds, which no healthy
// run comes near. Busy: what it waits for is a tick or a few.
template <typename Condition>
bool eventually(Condition&& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition())
        if (std::chrono::steady_clock::now() > deadline) return false;
    return true;
}

}  // namespace synward::bpf_test
