// SPDX-License-Identifier: GPL-2.0-or-later
// synward replay of what the daemon recorded: the deciders decide it once more.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "lib/result.h"

namespace synward::cli {

// Whether the file begins as a trace does; not of standard input.
[[nodiscard]] bool is_trace(const std::string& file);

struct TraceParameters {
    std::string file;
    std::string config;  // of the deciders and services
    std::string device;  // whose addresses are local
    std::uint64_t limit = 0;
    std::set<unsigned> reasons;  // enum sw_reason: only these events are told
    bool summary = false;
    bool verbose = false;
    bool json = false;
};
[[nodiscard]] Result<void> replay_trace(const TraceParameters& parameters);

}  // namespace synward::cli
