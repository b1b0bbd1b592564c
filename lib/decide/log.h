// SPDX-License-Identifier: GPL-2.0-or-later
// The last decisions of a chain, for `synward why`.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/decide/decision.h"

namespace synward {

// Plain data.
struct LogRecord {
    std::uint64_t time = 0;  // ns, CLOCK_MONOTONIC
    RawAddress source{};
    sw_family family = SW_IPV4;
    std::uint16_t source_port = 0;  // host byte order
    std::uint16_t destination_port = 0;
    EventKind kind = EventKind::other;
    std::uint8_t service = 0;
    DeciderId decider = DeciderId::chain;
    DecisionReason reason = DecisionReason::service_default;
    Opinion wanted = Opinion::none;
    bool dropped = false;  // the verdict in force
    bool dry_run = false;
    bool set = false;               // the source went (would have gone) into the deny set
    bool ticket = false;            // a ticket was (would have been) written
    bool ticket_shape = false;      // ... by shape, not by source
    bool ticket_drop = false;       // ... that drops
    std::uint32_t lifetime_ms = 0;  // of the ticket or set entry
};

// A ring of fixed size. One thread writes, any reads: each slot is a sequence
// lock of atomic words, so that a reader skips what is being overwritten and the
// writer never waits.
class DecisionLog {
  public:
    explicit DecisionLog(std::size_t records) : count_(records), slots_(new Slot[records]()) {}

    void append(const FlowEvent& event, std::uint64_t now, const Decision& decision);
    // Those of one host (/32, /64), the newest first, at most `most`.
    [[nodiscard]] std::vector<LogRecord> find(const RawAddress& source, sw_family family,
                                              std::size_t most) const;
    [[nodiscard]] std::size_t memory_bytes() const { return count_ * sizeof(Slot); }

  private:
    static constexpr std::size_t words = 6;
    using Words = std::array<std::uint64_t, words>;
    struct alignas(64) Slot {
        std::atomic<std::uint64_t> sequence;  // odd while written; 0: empty
        std::array<std::atomic<std::uint64_t>, words> word;
    };
    [[nodiscard]] static bool read(const Slot& slot, Words& out);

    std::size_t count_;
    std::unique_ptr<Slot[]> slots_;
    std::size_t next_ = 0;                // the writer's
    std::atomic<std::size_t> newest_{0};  // index behind the newest
};

}  // namespace synward
