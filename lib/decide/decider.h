// SPDX-License-Identifier: GPL-2.0-or-later
// One link of the chain.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/decide/decision.h"
#include "lib/decide/explanation.h"
#include "lib/decide/ledger.h"
#include "lib/decide/prefix.h"
#include "lib/decide/shared.h"

namespace synward {

// For indices; the enums themselves do not mix.
inline constexpr std::size_t families = SW_FAMILIES;
inline constexpr std::size_t doubts = SW_DOUBT_COUNT;

[[nodiscard]] constexpr std::uint32_t kind_bit(EventKind kind) {
    return 1u << static_cast<unsigned>(kind);
}

[[nodiscard]] constexpr std::uint64_t nanoseconds(std::chrono::milliseconds time) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(time).count());
}

// Pure: the result follows from the event, `now` and the state that earlier
// calls left; no clock, no system call, no allocation, no lock.
class Decider {
  public:
    Decider() = default;
    Decider(const Decider&) = delete;
    Decider& operator=(const Decider&) = delete;
    virtual ~Decider() = default;

    [[nodiscard]] virtual DeciderId id() const = 0;
    // kind_bit() of each kind of event it wants to see.
    [[nodiscard]] virtual std::uint32_t kinds() const = 0;
    // An opinion ends the chain: then decision.reason and the actions are set.
    // `none` leaves the decision as it was. `now`: ns, CLOCK_MONOTONIC.
    virtual Opinion decide(const FlowEvent& event, std::uint64_t now, Decision& decision) = 0;
    // Adds what is known of a source. Called by any thread while another decides.
    virtual void explain(const RawAddress& source, sw_family family, std::uint64_t now,
                         Explanation& explanation) const = 0;
    [[nodiscard]] virtual std::size_t memory_bytes() const = 0;
};

// For explain(): what the ledger holds of the prefix with this number, if anything.
void add_rate(const Ledger& ledger, DeciderId decider, std::string_view what, const Prefix& prefix,
              std::uint64_t number, const Limit& limit, std::uint64_t now, Explanation& explanation);

}  // namespace synward
