// SPDX-License-Identifier: GPL-2.0-or-later
// The figures of a transport: its own thread writes, any thread may read.
#pragma once

#include <atomic>
#include <cstdint>

#include "lib/escalation/transport.h"

namespace synward {

// With one writer a plain load and store will do: no locked instruction per packet.
class Counter {
  public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct TransportCounters {
    Counter received, verdicts, batches, lost, torn, refused, system_calls;

    [[nodiscard]] TransportStats stats() const {
        return {.received = received.get(),
                .verdicts = verdicts.get(),
                .batches = batches.get(),
                .lost = lost.get(),
                .torn = torn.get(),
                .refused = refused.get(),
                .system_calls = system_calls.get()};
    }
};

}  // namespace synward
