// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/decider.h"

namespace synward {

void add_rate(const Ledger& ledger, DeciderId decider, std::string_view what, const Prefix& prefix,
              std::uint64_t number, const Limit& limit, std::uint64_t now, Explanation& explanation) {
    const auto entry = ledger.find(number);
    if (!entry) return;
    const std::uint64_t arrival = entry->arrival();
    const std::uint64_t ticketed = entry->ticketed();
    if (arrival <= now && !ticketed) return;
    const Gcra gcra(limit);
    Explanation::Rate rate;
    rate.decider = decider;
    rate.what = what;
    rate.prefix = prefix;
    rate.limit = limit;
    if (arrival > now && gcra.interval) {
        rate.ahead = static_cast<double>(arrival - now) / static_cast<double>(gcra.interval);
        rate.over = arrival - now > gcra.tolerance;
    }
    if (ticketed) rate.ticket_ago = now > ticketed ? static_cast<double>(now - ticketed) / 1e9 : 0.0;
    explanation.rates.push_back(std::move(rate));
}

}  // namespace synward
