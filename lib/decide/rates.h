// SPDX-License-Identifier: GPL-2.0-or-later
// How much of what is doubtful comes from where, and who connects too often.
#pragma once

#include <vector>

#include "lib/decide/decider.h"
#include "lib/decide/ledger.h"

namespace synward {

class PrefixRates final : public Decider {
  public:
    PrefixRates(const DecideConfig& config, KeySource& keys);

    [[nodiscard]] DeciderId id() const override { return DeciderId::rates; }
    [[nodiscard]] std::uint32_t kinds() const override;
    Opinion decide(const FlowEvent& event, std::uint64_t now, Decision& decision) override;
    void explain(const RawAddress& source, sw_family family, std::uint64_t now,
                 Explanation& explanation) const override;
    [[nodiscard]] std::size_t memory_bytes() const override;

  private:
    Opinion count_handshake(const FlowEvent& event, std::uint64_t now, Decision& decision);
    // Into the deny set, once for each time that the entry there lasts half.
    Opinion deny(const FlowEvent& event, Ledger::Entry entry, const Gcra& limit, Scope scope,
                 std::uint64_t now, Decision& decision);
    [[nodiscard]] static std::size_t index(sw_family family, Scope scope, sw_doubt doubt) {
        return (family * 2u + static_cast<unsigned>(scope)) * doubts + doubt;
    }

    const DecideConfig& config_;
    Gcra host_;
    Gcra net_;
    Gcra connections_;
    Gcra site_connections_;
    std::vector<Ledger> doubts_;      // family, scope, doubt
    std::vector<Ledger> connectors_;  // family: hosts
    Ledger sites_;                    // IPv6 /48
};

}  // namespace synward
