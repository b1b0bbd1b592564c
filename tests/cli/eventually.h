// SPDX-License-Identifier: GPL-2.0-or-later
// Waiting for what another thread does.
#pragma once

#include <chrono>
#include <thread>

namespace synward {

// Whether the condition came true in time.
template <typename Condition>
bool eventually(Condition&& condition) {
    using namespace std::chrono_literals;
    for (const auto end = std::chrono::steady_clock::now() + 20s; !condition();) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

}  // namespace synward
