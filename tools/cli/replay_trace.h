// SPDX-License-Identifier: GPL-2.0-or-later
// synward replay of what the daemon recorded: the deciders decide it once more.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "lib/result.h"
#include "tools/cli/replay_input.h"

namespace synward::cli {

struct TraceParameters {
    std::string file;    // what messages call it
    std::string config;  // of the deciders and services
    std::string device;  // whose addresses are local
    std::uint64_t limit = 0;
    std::set<unsigned> reasons;  // enum sw_reason: only these events are told
    bool summary = false;
    bool verbose = false;
    bool json = false;
};
[[nodiscard]] Result<void> replay_trace(ReplayInput& input, const TraceParameters& parameters);

}  // namespace synward::cli
