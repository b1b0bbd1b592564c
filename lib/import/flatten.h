// SPDX-License-Identifier: GPL-2.0-or-later
// One list without jumps, alternatives or other families, in the order of the ruleset.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/import/block.h"
#include "lib/import/ruleset.h"

namespace synward {

inline constexpr int any_interface = -1;

// The first that matches decides.
struct LinearRule {
    Block source;
    int interface = any_interface;        // index into LinearRules::interfaces
    std::optional<ServiceRange> service;  // nothing: any protocol
    bool drop = false;
    std::size_t chain = 0;  // the rule of the ruleset that it comes from
    std::size_t rule = 0;
    std::uint32_t timeout = 0;  // as in RuleSource
};

struct LinearRules {
    sw_family family = SW_IPV4;
    std::vector<std::string> interfaces;
    std::vector<LinearRule> rules;
    bool drops = false;  // what no rule matches
};

// Code `config` with a line for each rule that sets cannot express, up to twenty.
// The ruleset has an entry for this family.
[[nodiscard]] Result<LinearRules> flatten(const Ruleset& ruleset, sw_family family);

}  // namespace synward
