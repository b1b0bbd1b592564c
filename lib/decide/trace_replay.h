// SPDX-License-Identifier: GPL-2.0-or-later
// A recording decided once more, by deciders that begin with nothing learned.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "lib/decide/chain.h"
#include "lib/decide/trace.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// What the kernel had of a stray is taken from the entry, the clock from its time; the
// keys of the tables are others than the daemon's, and the same each time.
class TraceReplay {
  public:
    // Chains that one recording may have: each takes the memory of a worker.
    static constexpr std::size_t chains_most = 256;

    // `config` has passed check().
    [[nodiscard]] static Result<TraceReplay> create(const DecideConfig& config, const CompiledPolicy& policy);

    // In the order of parse_recording(). Code `config` for too many chains. The decision holds
    // until the next call.
    [[nodiscard]] Result<const Decision*> decide(const TraceEntry& entry);

  private:
    explicit TraceReplay(const DecideConfig& config);

    DecideConfig config_;
    KeySource keys_;
    std::unique_ptr<DecideShared> shared_;
    std::map<std::uint16_t, std::unique_ptr<Chain>> chains_;
    std::unique_ptr<Decision> decision_ = std::make_unique<Decision>();
};

}  // namespace synward
