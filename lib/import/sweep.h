// SPDX-License-Identifier: GPL-2.0-or-later
// The proof's walk over the addresses of one class of packets: rules and entries, from
// prefix to prefix, and in each region between them what both sides say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/import/block.h"

namespace synward {

// A rule or an entry, as the walk meets it. In this order where they have one prefix.
struct SweepItem {
    enum class Kind : std::uint8_t {
        rule,
        hidden,  // the set ends its search here: the network is there for other interfaces
        entry,
    };
    Block source;
    std::uint32_t rank = 0;  // place of the rule, or of the set: below 64
    Kind kind = Kind::rule;
    bool drop = false;
    std::uint32_t timeout = 0;  // seconds, then it is gone; 0: it stays

    bool operator==(const SweepItem&) const = default;
};

// By prefix alone, and by all that there is.
[[nodiscard]] bool sweeps_before(const SweepItem& a, const SweepItem& b);
[[nodiscard]] bool sweeps_in_order(const SweepItem& a, const SweepItem& b);

struct SweepDifference {
    AddressNumber source = 0;
    std::uint32_t after = 0;  // seconds
};

// Where in the window, and when, both sides differ, if anywhere. `items` are sorted and
// inside it; `policy` is what the rules say where none matches. Adds to `regions`.
[[nodiscard]] std::optional<SweepDifference> sweep_regions(const std::vector<SweepItem>& items,
                                                           const Block& window, bool policy,
                                                           std::size_t& regions);

}  // namespace synward
