// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/convert.h"

#include <fmt/format.h>

#include "lib/abi/genetlink.h"
#include "lib/sets/ipset.h"

namespace synward {
namespace {

void add_notes(Conversion& conversion) {
    auto& notes = conversion.notes;
    notes = conversion.ruleset.notes;
    notes.push_back(
        "the one rule stands before routing and judges new connections that come in: also those that this "
        "host "
        "forwards, none that it opens itself, and none that are there already");
    std::size_t allowed = 0;
    std::size_t expiring = 0;
    for (const PlannedSet& set : conversion.plan.sets)
        for (const PlannedEntry& entry : set.entries) {
            if (set.accept == SW_MARK_ALLOW && !entry.drop) allowed++;
            if (entry.timeout != 0) expiring++;
        }
    if (expiring > 0)
        notes.push_back(fmt::format(
            "{} entries expire, as their elements do: the seconds that those have left count from "
            "when the sets are loaded",
            expiring));
    if (allowed > 0)
        notes.push_back(
            fmt::format("--skip-cookies: a driver hook that mirrors these sets passes the SYNs of {} entries "
                        "without cookies, and so floods in their name",
                        allowed));
    for (const auto& [chain, rule] : conversion.plan.shadowed) {
        const SourceChain& of = conversion.ruleset.chains[chain];
        if (notes.size() > 20) {
            notes.push_back(fmt::format("{} rules in all never decide", conversion.plan.shadowed.size()));
            break;
        }
        notes.push_back(fmt::format("{} never decides: earlier rules match all that it does",
                                    conversion.ruleset.place(of, of.rules[rule])));
    }
}

}  // namespace

Result<Conversion> convert_ruleset(std::string_view text, const std::string& name,
                                   const ImportOptions& options, const ProofOptions& proof) {
    if (name.size() > 20 || !is_set_word(name) || name.find_first_of(",:/") != name.npos)
        return fail(
            ErrorCode::usage,
            fmt::format("'{}' cannot begin the name of a set: 1 to 20 letters, digits, - or _", name));
    auto ruleset = parse_ruleset(text, options);
    if (!ruleset) return tl::unexpected(ruleset.error());
    Conversion conversion;
    conversion.ruleset = std::move(*ruleset);
    std::vector<LinearRules> families;
    std::string refused;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        if (!conversion.ruleset.entry(family)) continue;
        auto rules = flatten(conversion.ruleset, family);
        if (rules) {
            conversion.rules += rules->rules.size();
            families.push_back(std::move(*rules));
        } else if (refused != rules.error().message) {
            // A chain of both families is refused twice for the same.
            if (!refused.empty()) refused += '\n';
            refused += rules.error().message;
        }
    }
    if (!refused.empty()) return fail(ErrorCode::config, std::move(refused));
    for (const LinearRules& rules : families)
        if (const auto planned = plan_sets(conversion.ruleset, rules, name, options, conversion.plan);
            !planned)
            return tl::unexpected(planned.error());
    std::erase_if(conversion.plan.shadowed,
                  [&](const auto& rule) { return conversion.plan.used.contains(rule); });
    if (conversion.plan.sets.size() > SW_NL_SETS_MAX)
        return fail(
            ErrorCode::config,
            fmt::format(
                "rules with and without ports take turns so often that {} sets would be needed, at most "
                "{} can be bound: put rules of one kind together where their order does not matter",
                conversion.plan.sets.size(), SW_NL_SETS_MAX));
    conversion.files = plan_files(conversion.plan);

    const auto sets = read_sets(conversion.files[0].text);
    if (!sets)
        return fail(ErrorCode::system, fmt::format("wrote what cannot be read: {}", sets.error().message));
    for (const LinearRules& rules : families) {
        verify(conversion.ruleset, rules, *sets, proof, conversion.proof);
        if (conversion.proof.counterexample)
            return fail(
                ErrorCode::system,
                fmt::format("the sets would not decide as the ruleset does; nothing was written. This is a "
                            "mistake in synward: {}",
                            *conversion.proof.counterexample));
    }
    add_notes(conversion);
    return conversion;
}

}  // namespace synward
