// SPDX-License-Identifier: GPL-2.0-or-later
// Counters and state of an interface, summed over CPUs.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/abi/flow.h"
#include "lib/abi/reasons.h"

namespace synward {

using Counters = std::array<std::uint64_t, SW_REASON_COUNT>;  // packets, indexed by enum sw_reason

struct ServiceStats {
    unsigned index = 0;
    std::string name;  // empty for index 0: packets of no service
    Counters packets{};
};

struct Stats {
    std::vector<ServiceStats> services;  // index 0 first, then every service of the policy

    // Over all services.
    [[nodiscard]] Counters total() const;
};

struct ServiceState {
    unsigned index = 0;
    bool armed = false;
    bool trusted = false;  // the filter is complete for this service
    std::uint32_t armings = 0;
    std::uint32_t syn_rate = 0;   // SYNs a second in the last whole arming window
    std::uint32_t peak_rate = 0;  // most since arming
};

// Packets a second between two readings `seconds` apart; a counter that went back gives 0.
[[nodiscard]] std::array<double, SW_REASON_COUNT> rates(const Counters& before, const Counters& after,
                                                        double seconds);

}  // namespace synward
