// SPDX-License-Identifier: GPL-2.0-or-later
// What a firewall costs: rules one after the other against sets and the one rule, each on a
// host of its own, all measured in turn in one run.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "ruleset_kinds.h"
#include "ruleset_lab.h"

namespace synward::bench {

struct RulesetOptions {
    RulesetChoice choice;
    LabOptions lab;
    unsigned rounds = 9;       // the least of them counts
    unsigned bulk_rounds = 3;  // of TCP, whose largest counts; 0: none
    double bulk_seconds = 0.4;
};

struct Timing {
    double least = 0, median = 0;  // ns a packet; 0: not measured
};

struct RulesetResult {
    Ruleset ruleset;
    std::array<Timing, std::size(kTraffics)> cost;  // by Traffic
    double bulk = 0;                                // Mb/s; 0: not measured
};

// Of the least costs; infinity or nothing where a part is missing is 0.
struct RulesetSummary {
    struct Times {
        std::string rules, one;  // names
        std::array<double, std::size(kTraffics)> cost{};
        double bulk = 0;
    };
    std::vector<Times> times;  // the one rule of the middle size against the most linear rules
    struct Flat {
        std::string one;
        uint32_t from = 0, to = 0;                         // entries
        std::array<double, std::size(kTraffics)> worst{};  // the largest cost over that of the smallest set
    };
    std::vector<Flat> flat;
};

std::vector<RulesetResult> run_ruleset(const RulesetOptions& options);
RulesetSummary summarise(const std::vector<RulesetResult>& results);

}  // namespace synward::bench
