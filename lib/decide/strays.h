// SPDX-License-Identifier: GPL-2.0-or-later
// Segments of no connection that XDP knows: does the kernel know it?
#pragma once

#include <vector>

#include "lib/decide/decider.h"
#include "lib/decide/ledger.h"

namespace synward {

// Looked up once for each event, before any decider; `none` for kinds that are no strays.
[[nodiscard]] KnownFlow known_flow(const KnownFlows& flows, const FlowEvent& event);

class Strays final : public Decider {
  public:
    Strays(const DecideConfig& config, const DecideShared& shared, KeySource& keys);

    [[nodiscard]] DeciderId id() const override { return DeciderId::strays; }
    [[nodiscard]] std::uint32_t kinds() const override;
    Opinion decide(const FlowEvent& event, std::uint64_t now, Decision& decision) override;
    void explain(const RawAddress& source, sw_family family, std::uint64_t now,
                 Explanation& explanation) const override;
    [[nodiscard]] std::size_t memory_bytes() const override;

  private:
    const DecideConfig& config_;
    const DecideShared& shared_;
    Limit repeats_;  // a source within it gets no ticket
    Gcra gcra_;
    std::vector<Ledger> hosts_;  // family
    std::vector<Ledger> known_;  // family: hosts with known connections, which no random source pushes out
};

}  // namespace synward
