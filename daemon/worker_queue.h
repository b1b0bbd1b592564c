// SPDX-License-Identifier: GPL-2.0-or-later
// From one worker to another thread. A ring of fixed size for one writer and one
// reader; neither waits.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace synward {

template <typename T, std::size_t Size>
class WorkerQueue {
  public:
    static constexpr std::size_t size = Size;

    // The worker's side. False: full, it is lost and counted.
    bool push(const T& value) {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == size) {
            lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            return false;
        }
        slots_[head % size] = value;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    // The reader's side.
    bool pop(T& value) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail == head_.load(std::memory_order_acquire)) return false;
        value = slots_[tail % size];
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    std::array<T, size> slots_{};
    alignas(64) std::atomic<std::size_t> head_{0};
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace synward
