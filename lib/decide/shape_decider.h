// SPDX-License-Identifier: GPL-2.0-or-later
// SYNs with unusual options: does the service often see their like?
#pragma once

#include <array>
#include <atomic>

#include "lib/decide/decider.h"
#include "lib/decide/ledger.h"

namespace synward {

class ShapeDecider final : public Decider {
  public:
    ShapeDecider(const DecideConfig& config, DecideShared& shared, KeySource& keys);

    [[nodiscard]] DeciderId id() const override { return DeciderId::shape; }
    [[nodiscard]] std::uint32_t kinds() const override {
        return kind_bit(EventKind::syn) | kind_bit(EventKind::shape);
    }
    Opinion decide(const FlowEvent& event, std::uint64_t now, Decision& decision) override;
    // Nothing: the source of a SYN may be forged, so that nothing is kept of it.
    void explain(const RawAddress&, sw_family, std::uint64_t, Explanation&) const override {}
    [[nodiscard]] std::size_t memory_bytes() const override {
        return ledger_.memory_bytes() + sizeof variety_arrival_;
    }

  private:
    const DecideConfig& config_;
    DecideShared& shared_;
    Gcra unknown_;
    Gcra variety_;
    Ledger ledger_;  // by name of service and shape
    std::array<std::atomic<std::uint64_t>, SW_SERVICES> variety_arrival_{};
};

}  // namespace synward
