// SPDX-License-Identifier: GPL-2.0-or-later
// The deciders in their order, with the memory of one worker.
//
//     for (const FlowEvent& event : *transport.receive()) {
//         chain.decide(event, now, decision);
//         if (event.id) verdicts.push(decision.verdict);
//         for (const Action& action : decision.actions()) queue it for the control thread
//     }
//
// decide() is for one thread, and neither locks, allocates nor makes a system
// call. Events of kinds handshake and shape write what all chains share: give
// them to one chain only, that of the thread that owns the DecideShared. The
// other methods are for any thread, at any time.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "lib/decide/decider.h"
#include "lib/decide/log.h"

namespace synward {

class Chain {
  public:
    // `config` has passed check(). `shared` must outlive the chain.
    Chain(const DecideConfig& config, DecideShared& shared, KeySource& keys);
    Chain(const Chain&) = delete;
    Chain& operator=(const Chain&) = delete;

    // `now`: ns, CLOCK_MONOTONIC, one clock for all chains of `shared`; it may be
    // the batch's. `decision` is filled whole. For kinds handshake and shape
    // verdict.id is event.id, usually 0: there is nothing to send.
    void decide(const FlowEvent& event, std::uint64_t now, Decision& decision);

    [[nodiscard]] const DecideConfig& config() const { return config_; }
    // Whether the kernel's connections were read lately enough to call a stray unknown.
    [[nodiscard]] bool flows_read(std::uint64_t now) const;
    [[nodiscard]] std::uint64_t count(DecisionReason reason) const {
        return counts_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
    }
    // All that this chain will ever take, without `shared`.
    [[nodiscard]] std::size_t memory_bytes() const;
    // Adds what this chain knows, as worker number `worker`.
    void explain(const Address& address, unsigned worker, std::uint64_t now, Explanation& explanation) const;

  private:
    const DecideConfig config_;
    DecideShared& shared_;
    std::array<std::unique_ptr<Decider>, 4> deciders_;
    std::array<std::uint32_t, 4> kinds_{};
    std::array<std::atomic<std::uint64_t>, static_cast<std::size_t>(DecisionReason::count)> counts_{};
    DecisionLog log_;
    DecisionLog action_log_;  // a flood that gets no tickets does not wash them away
};

// What all chains know of a source, with their last decisions on it.
[[nodiscard]] Explanation why(const Address& address, std::span<const Chain* const> chains,
                              std::uint64_t now);

}  // namespace synward
