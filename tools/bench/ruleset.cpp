// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "output.h"
#include "ruleset_bulk.h"

namespace synward::bench {
namespace {

struct Contestant {
    Ruleset ruleset;
    std::unique_ptr<RulesetLab> lab;
    std::array<std::vector<double>, std::size(kTraffics)> rounds;
    double bulk = 0;
};

Timing timing(std::vector<double> rounds) {
    if (rounds.empty()) return {};
    std::ranges::sort(rounds);
    return {.least = rounds.front(), .median = rounds[rounds.size() / 2]};
}

bool applies(const Ruleset& ruleset, Traffic traffic) {
    if (traffic == Traffic::kDenied) return ruleset.denied.count != 0;
    return ruleset.tracked || traffic == Traffic::kNew;
}

// Names the ruleset in what goes wrong.
void with(const Ruleset& ruleset, const std::function<void()>& work) {
    try {
        work();
    } catch (const std::runtime_error& error) {
        throw std::runtime_error(fmt::format("{}: {}", ruleset.name(), error.what()));
    }
}

double ratio(double of, double by) {
    return of > 0 && by > 0 ? of / by : 0;
}

}  // namespace

std::vector<RulesetResult> run_ruleset(const RulesetOptions& options) {
    std::vector<Contestant> contestants;
    for (auto& ruleset : all_rulesets(options.choice)) {
        progress(fmt::format("making: {}", ruleset.name()));
        with(ruleset, [&] {
            auto lab = std::make_unique<RulesetLab>(options.lab, ruleset.tracked);
            {
                const Netns::Inside inside(lab->host());
                ruleset.install();
            }
            contestants.push_back({.ruleset = ruleset, .lab = std::move(lab), .rounds = {}});
        });
    }
    if (contestants.empty()) throw std::runtime_error("there is no ruleset of that name here");
    // In turn, so that whatever disturbs the machine disturbs them all.
    for (unsigned round = 0; round < options.rounds; ++round) {
        progress(fmt::format("packets: round {} of {}", round + 1, options.rounds));
        for (auto& contestant : contestants)
            with(contestant.ruleset, [&] {
                for (const Traffic traffic : kTraffics)
                    if (applies(contestant.ruleset, traffic))
                        contestant.rounds[static_cast<size_t>(traffic)].push_back(
                            contestant.lab->measure(traffic, contestant.ruleset.denied).ns);
            });
    }
    for (unsigned round = 0; round < options.bulk_rounds; ++round) {
        progress(fmt::format("TCP: round {} of {}", round + 1, options.bulk_rounds));
        for (auto& contestant : contestants)
            with(contestant.ruleset, [&] {
                contestant.bulk = std::max(contestant.bulk,
                                           measure_bulk(*contestant.lab, options.lab, options.bulk_seconds));
            });
    }
    std::vector<RulesetResult> results;
    for (auto& contestant : contestants) {
        RulesetResult result{.ruleset = std::move(contestant.ruleset), .cost = {}, .bulk = contestant.bulk};
        for (const Traffic traffic : kTraffics)
            result.cost[static_cast<size_t>(traffic)] =
                timing(contestant.rounds[static_cast<size_t>(traffic)]);
        results.push_back(std::move(result));
    }
    return results;
}

RulesetSummary summarise(const std::vector<RulesetResult>& results) {
    RulesetSummary summary;
    uint32_t most = 0;
    for (const auto& result : results)
        if (result.ruleset.linear) most = std::max(most, result.ruleset.entries);
    for (const auto& one : results) {
        if (!one.ruleset.one_rule || one.ruleset.entries != most) continue;
        for (const auto& rules : results) {
            if (!rules.ruleset.linear || rules.ruleset.entries != most) continue;
            RulesetSummary::Times times{.rules = rules.ruleset.name(), .one = one.ruleset.name(), .cost = {}};
            for (size_t i = 0; i < times.cost.size(); ++i)
                times.cost[i] = ratio(rules.cost[i].least, one.cost[i].least);
            times.bulk = ratio(one.bulk, rules.bulk);
            summary.times.push_back(std::move(times));
        }
    }
    for (const auto& smallest : results) {
        if (!smallest.ruleset.set) continue;
        const auto same = [&](const RulesetResult& other) {
            return other.ruleset.kind == smallest.ruleset.kind;
        };
        if (std::ranges::any_of(results, [&](const RulesetResult& other) {
                return same(other) && other.ruleset.entries < smallest.ruleset.entries;
            }))
            continue;
        RulesetSummary::Flat flat{.one = smallest.ruleset.kind,
                                  .from = smallest.ruleset.entries,
                                  .to = smallest.ruleset.entries,
                                  .worst = {}};
        for (const auto& other : results) {
            if (!same(other)) continue;
            flat.to = std::max(flat.to, other.ruleset.entries);
            for (size_t i = 0; i < flat.worst.size(); ++i)
                flat.worst[i] = std::max(flat.worst[i], ratio(other.cost[i].least, smallest.cost[i].least));
        }
        if (flat.to != flat.from) summary.flat.push_back(std::move(flat));
    }
    return summary;
}

}  // namespace synward::bench
