// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/evaluate.h"

#include <algorithm>

namespace synward {
namespace {

bool matches(const SourceRule& rule, const TestPacket& packet, const Address& source) {
    const RuleMatch& match = rule.match;
    if (!(packet.family == SW_IPV4 ? match.ipv4 : match.ipv6)) return false;
    if (match.sources &&
        std::none_of(match.sources->begin(), match.sources->end(), [&](const RuleSource& one) {
            return one.prefix.contains(source) && !is_expired(one.timeout, packet);
        }))
        return false;
    if (match.interfaces && std::find(match.interfaces->begin(), match.interfaces->end(), packet.interface) ==
                                match.interfaces->end())
        return false;
    return !match.services || std::any_of(match.services->begin(), match.services->end(),
                                          [&](const ServiceRange& range) { return in_range(range, packet); });
}

// Nothing: the chain came to its end.
std::optional<RulesetVerdict> walk(const Ruleset& ruleset, std::size_t index, const TestPacket& packet,
                                   const Address& source, bool first) {
    const SourceChain& chain = ruleset.chains[index];
    for (const SourceRule& rule : chain.rules) {
        if (rule.target == RuleTarget::nothing || !matches(rule, packet, source)) continue;
        if (rule.target == RuleTarget::accept) return RulesetVerdict{false, &chain, &rule};
        if (rule.target == RuleTarget::drop) return RulesetVerdict{true, &chain, &rule};
        if (rule.target == RuleTarget::back) {
            if (first) return RulesetVerdict{chain.drops, &chain, &rule};
            return std::nullopt;
        }
        if (const auto verdict = walk(ruleset, rule.chain, packet, source, false)) return verdict;
    }
    return std::nullopt;
}

}  // namespace

RulesetVerdict ask_ruleset(const Ruleset& ruleset, const TestPacket& packet) {
    const std::size_t entry = *ruleset.entry(packet.family);
    const auto verdict = walk(ruleset, entry, packet, number_address(packet.source, packet.family), true);
    return verdict.value_or(RulesetVerdict{ruleset.chains[entry].drops, nullptr, nullptr});
}

RuleIndex::RuleIndex(const LinearRules& rules) : rules_(rules) {
    by_source_.reserve(rules.rules.size());
    for (std::size_t i = 0; i < rules.rules.size(); i++) {
        by_source_[rules.rules[i].source].push_back(static_cast<std::uint32_t>(i));
        lengths_[rules.rules[i].source.length] = true;
    }
}

const LinearRule* RuleIndex::find(const TestPacket& packet) const {
    std::uint32_t best = ~0U;
    const Block address{packet.source, 128};
    for (unsigned length = 0; length <= 128; length++) {
        if (!lengths_[length]) continue;
        const auto found = by_source_.find(address.widened(length));
        if (found == by_source_.end()) continue;
        for (const std::uint32_t index : found->second) {
            if (index >= best) break;
            const LinearRule& rule = rules_.rules[index];
            if (rule.interface != any_interface &&
                rules_.interfaces[static_cast<std::size_t>(rule.interface)] != packet.interface)
                continue;
            if (!in_range(rule.service, packet) || is_expired(rule.timeout, packet)) continue;
            best = index;
            break;
        }
    }
    return best == ~0U ? nullptr : &rules_.rules[best];
}

SetSearch::SetSearch(const std::vector<PlannedSet>& sets, sw_family family) {
    for (const PlannedSet& set : sets) {
        if (set.family != family) continue;
        One& one = sets_.emplace_back();
        one.by_source.reserve(set.entries.size());
        for (const PlannedEntry& entry : set.entries) {
            one.by_source[entry.source].push_back(&entry);
            one.lengths[entry.source.length] = true;
        }
        // By port, so that a source with many is searched quickly.
        for (auto& [source, entries] : one.by_source)
            std::sort(entries.begin(), entries.end(), [](const PlannedEntry* a, const PlannedEntry* b) {
                return a->service != b->service ? a->service < b->service : a->interface < b->interface;
            });
    }
}

const PlannedEntry* SetSearch::find_in(const One& set, const TestPacket& packet) {
    const Block address{packet.source, 128};
    for (unsigned length = 129; length-- > 0;) {
        if (!set.lengths[length]) continue;
        const auto found = set.by_source.find(address.widened(length));
        if (found == set.by_source.end()) continue;
        const auto& entries = found->second;
        if (entries[0]->service) {
            const ServiceRange wanted{packet.protocol, packet.port, 0xffff};
            const auto behind = std::upper_bound(
                entries.begin(), entries.end(), wanted,
                [](const ServiceRange& range, const PlannedEntry* entry) { return range < *entry->service; });
            if (behind == entries.begin()) continue;
            const PlannedEntry& entry = **std::prev(behind);
            if (in_range(entry.service, packet) && !is_expired(entry.timeout, packet)) return &entry;
            continue;
        }
        bool is_there = false;
        for (const PlannedEntry* entry : entries) {
            if (is_expired(entry->timeout, packet)) continue;
            if (entry->interface.empty() || entry->interface == packet.interface) return entry;
            is_there = true;
        }
        if (is_there) return nullptr;
    }
    return nullptr;
}

const PlannedEntry* SetSearch::find(const TestPacket& packet) const {
    for (const One& set : sets_)
        if (const PlannedEntry* entry = find_in(set, packet)) return entry;
    return nullptr;
}

}  // namespace synward
