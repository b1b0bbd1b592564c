// SPDX-License-Identifier: GPL-2.0-or-later
// Sources that completed a handshake lately may be doubtful now and then.
#pragma once

#include <vector>

#include "lib/decide/decider.h"
#include "lib/decide/ledger.h"

namespace synward {

class Completion final : public Decider {
  public:
    Completion(const DecideConfig& config, DecideShared& shared, KeySource& keys);

    [[nodiscard]] DeciderId id() const override { return DeciderId::completion; }
    [[nodiscard]] std::uint32_t kinds() const override;
    Opinion decide(const FlowEvent& event, std::uint64_t now, Decision& decision) override;
    void explain(const RawAddress& source, sw_family family, std::uint64_t now,
                 Explanation& explanation) const override;
    [[nodiscard]] std::size_t memory_bytes() const override;

  private:
    Opinion decide_proven(const FlowEvent& event, sw_doubt doubt, std::uint64_t now, Decision& decision);
    // What is said of one doubt says nothing of another: each has its own.
    [[nodiscard]] Ledger& hosts(sw_family family, sw_doubt doubt) { return hosts_[family * doubts + doubt]; }

    const DecideConfig& config_;
    DecideShared& shared_;
    Gcra proven_;
    Gcra neighbour_;
    std::uint64_t window_;
    std::vector<Ledger> hosts_;  // family, doubt: proven hosts only
    std::vector<Ledger> nets_;   // family
};

}  // namespace synward
