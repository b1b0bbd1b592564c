// SPDX-License-Identifier: GPL-2.0-or-later
// How the sets that classification looks new connections up in are asked: which of the
// configured sets exist and fit, and with what direction words.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/sets/reader.h"

namespace synward {

struct BoundSet {
    std::string name;
    std::string type;
    std::optional<sw_family> family;  // nothing: both (list:set)
    bool by_mark = false;             // the packet's mark is part of what is looked up
    std::uint8_t dim = 1;             // dimensions that are asked
    std::uint8_t flags = 1;  // bit n - 1 set: dimension n is of the source, as in lib/abi/genetlink.h

    bool operator==(const BoundSet&) const = default;
};
// As iptables writes it: "src", "src,dst", "src,src".
[[nodiscard]] std::string direction_words(const BoundSet& set);

struct BindingPlan {
    std::vector<BoundSet> sets;         // in the configured order
    std::vector<std::string> waited;    // that do not exist yet: nothing is wrong
    std::vector<std::string> problems;  // the set, what does not fit, what to do

    bool operator==(const BindingPlan&) const = default;
};

// `there` are the sets that exist; `members` names those of a list:set, in order. Pure.
[[nodiscard]] BindingPlan plan_binding(
    const std::vector<std::string>& wanted, const std::vector<SetHeader>& there,
    const std::function<std::vector<std::string>(const std::string&)>& members);

}  // namespace synward
