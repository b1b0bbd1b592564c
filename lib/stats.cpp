// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats.h"

namespace synward {

Counters Stats::total() const {
    Counters sum{};
    for (const ServiceStats& service : services)
        for (std::size_t i = 0; i < sum.size(); i++) sum[i] += service.packets[i];
    return sum;
}

std::array<double, SW_REASON_COUNT> rates(const Counters& before, const Counters& after, double seconds) {
    std::array<double, SW_REASON_COUNT> result{};
    if (seconds <= 0) return result;
    for (std::size_t i = 0; i < result.size(); i++)
        if (after[i] > before[i]) result[i] = static_cast<double>(after[i] - before[i]) / seconds;
    return result;
}

}  // namespace synward
