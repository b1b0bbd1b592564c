// SPDX-License-Identifier: GPL-2.0-or-later
// From one worker to the control thread: what the deciders want done. A ring of
// fixed size for one writer and one reader; neither waits.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/decide/decision.h"

namespace synward {

// An action with what `report` tells of the decision behind it.
struct WantedAction {
    WantedAction() = default;
    WantedAction(const Action& wanted, const Decision& decision, EventKind event)
        : action(wanted),
          decider(decision.decider),
          reason(decision.reason),
          kind(event),
          service(decision.service),
          dropped(decision.wanted == Opinion::none ? decision.verdict.kind == SW_VERDICT_DROP
                                                   : decision.wanted == Opinion::drop),
          dry(decision.dry_run) {}
    // Whether it is one to be carried out: in a dry run there is nothing to do but to tell.
    [[nodiscard]] bool due() const { return !dry || action.kind == Action::Kind::report; }

    Action action;
    DeciderId decider = DeciderId::chain;
    DecisionReason reason = DecisionReason::service_default;
    EventKind kind = EventKind::other;
    std::uint8_t service = 0;  // index
    bool dropped = false;      // the packet, or in a dry run: it would have been
    bool dry = false;          // only to be told of
};

class ActionQueue {
  public:
    static constexpr std::size_t size = 4096;

    // The worker's side. False: full, the action is lost and counted.
    bool push(const WantedAction& wanted) {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head - tail_.load(std::memory_order_acquire) == size) {
            lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            return false;
        }
        slots_[head % size] = wanted;
        head_.store(head + 1, std::memory_order_release);
        return true;
    }

    // The control thread's side.
    bool pop(WantedAction& wanted) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        if (tail == head_.load(std::memory_order_acquire)) return false;
        wanted = slots_[tail % size];
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    [[nodiscard]] std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    std::array<WantedAction, size> slots_{};
    alignas(64) std::atomic<std::size_t> head_{0};
    alignas(64) std::atomic<std::size_t> tail_{0};
    std::atomic<std::uint64_t> lost_{0};
};

}  // namespace synward
