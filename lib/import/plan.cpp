// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/import/prefix_table.h"
#include "lib/sets/comment.h"

namespace synward {
namespace {

// The kernel keeps all interfaces of a network in one bucket, which holds 64 entries at most.
constexpr std::size_t most_interfaces = 32;

struct Claim {
    bool drop = false;
    std::uint32_t timeout = 0;  // as in LinearRule
    std::uint32_t rule = 0;     // place in LinearRules::rules; behind the last: the policy
};
using Claims = PrefixTable<Claim>;
using Sources = PrefixTable<bool>;

// A rule goes into the last set of its kind, if it may be asked before the sets that
// stand behind it: that is so unless an overlapping entry there says otherwise. Else
// it opens a new set at the end. Within a set the longest prefix decides. Of two nested
// prefixes the narrower one came first (or it would be shadowed), so that this is the
// rule that would have matched first. Only what expires shadows nothing: a rule that it
// comes before, and is not narrower than, opens a new set too.
struct Group {
    SetKind kind = SetKind::net;  // net, net_port, net_iface
    bool expires = false;         // some of what is in it
    // Of net_port: by the number of an elementary range of ports. Of net_iface: by interface.
    std::map<unsigned, Claims> tables;
    Sources anywhere[2];  // every source by verdict, whatever the table

    void add(unsigned key, const Block& source, const Claim& claim) {
        tables[key].add(source, claim);
        anywhere[claim.drop].add(source, true);
        expires |= claim.timeout != 0;
    }
};

SetKind kind_of(const LinearRule& rule) {
    if (rule.service) return SetKind::net_port;
    return rule.interface == any_interface ? SetKind::net : SetKind::net_iface;
}

// The ports of each protocol, cut wherever a rule begins or ends.
class Ranges {
  public:
    explicit Ranges(const LinearRules& rules) {
        std::map<std::uint8_t, std::set<unsigned>> cuts;
        for (const LinearRule& rule : rules.rules) {
            if (!rule.service) continue;
            cuts[rule.service->protocol].insert(rule.service->first);
            cuts[rule.service->protocol].insert(rule.service->last + 1U);
        }
        for (const auto& [protocol, at] : cuts) {
            for (auto cut = at.begin(); std::next(cut) != at.end(); ++cut)
                ranges_.push_back({protocol, static_cast<std::uint16_t>(*cut),
                                   static_cast<std::uint16_t>(*std::next(cut) - 1)});
        }
    }

    [[nodiscard]] const ServiceRange& operator[](unsigned index) const { return ranges_[index]; }
    // Indexes [first, second) of what makes up the range.
    [[nodiscard]] std::pair<unsigned, unsigned> of(const ServiceRange& range) const {
        const auto begin =
            std::lower_bound(ranges_.begin(), ranges_.end(), ServiceRange{range.protocol, range.first, 0});
        auto end = begin;
        while (end != ranges_.end() && end->protocol == range.protocol && end->last <= range.last) ++end;
        return {begin - ranges_.begin(), end - ranges_.begin()};
    }

  private:
    std::vector<ServiceRange> ranges_;
};

class Planner {
  public:
    Planner(const Ruleset& ruleset, const LinearRules& rules, const ImportOptions& options)
        : ruleset_(ruleset), rules_(rules), options_(options), ranges_(rules) {}

    Result<void> run(const std::string& name, Plan& plan) {
        for (const PlannedSet& set : plan.sets) elements_ += set.elements();
        for (std::size_t i = 0; i < rules_.rules.size(); i++) {
            const LinearRule& rule = rules_.rules[i];
            const auto taken = take_all(rule, {rule.drop, rule.timeout, static_cast<std::uint32_t>(i)});
            if (!taken) return tl::unexpected(taken.error());
            (*taken ? plan.used : plan.shadowed).emplace(rule.chain, rule.rule);
        }
        if (rules_.drops) {
            const auto taken =
                take_all(LinearRule{}, {true, 0, static_cast<std::uint32_t>(rules_.rules.size())});
            if (!taken) return tl::unexpected(taken.error());
        }
        join_groups();
        plan.without_effect += leave_out_same() + leave_out_accepts();
        write(name, plan);
        return {};
    }

  private:
    // Null for the policy.
    [[nodiscard]] const LinearRule* rule_of(const Claim& claim) const {
        return claim.rule < rules_.rules.size() ? &rules_.rules[claim.rule] : nullptr;
    }

    // False: earlier rules match all that this one does.
    Result<bool> take_all(const LinearRule& rule, const Claim& claim) {
        if (rule.source.length > 0 || kind_of(rule) == SetKind::net_iface) return take(rule, claim);
        // hash:net has no prefix of length 0, but both halves of it.
        LinearRule half = rule;
        half.source = {0, 1};
        const auto lower = take(half, claim);
        if (!lower) return lower;
        half.source = {AddressNumber(1) << 127, 1};
        const auto upper = take(half, claim);
        if (!upper) return upper;
        return *lower || *upper;
    }

    Result<bool> take(const LinearRule& rule, const Claim& claim) {
        if (net_.covers(rule.source)) return false;
        std::vector<unsigned> keys{0};
        const SetKind kind = kind_of(rule);
        if (kind == SetKind::net_port) {
            keys.clear();
            const auto [begin, end] = ranges_.of(*rule.service);
            for (unsigned key = begin; key < end; key++)
                if (!port_[key].covers(rule.source)) keys.push_back(key);
        } else if (kind == SetKind::net_iface) {
            keys[0] = static_cast<unsigned>(rule.interface);
            if (iface_[keys[0]].covers(rule.source)) keys.clear();
        }
        if (keys.empty()) return false;

        Group& group = group_for(kind, keys, rule.source, claim);
        for (const unsigned key : keys) {
            group.add(key, rule.source, claim);
            if (claim.timeout == 0) shadow(kind, key).add(rule.source, true);
            elements_ += elements_of(kind, key);
        }
        if (elements_ > options_.most_entries) return too_many(claim);
        return true;
    }

    tl::unexpected<Error> too_many(const Claim& claim) const {
        std::string place = "the policy";
        std::string_view text;
        if (const LinearRule* rule = rule_of(claim)) {
            const SourceChain& chain = ruleset_.chains[rule->chain];
            place = ruleset_.place(chain, chain.rules[rule->rule]);
            text = chain.rules[rule->rule].text;
        }
        return fail(
            ErrorCode::config,
            fmt::format("{}: with it the sets have more than {} elements, since a set holds every port of "
                        "a range by itself; allow more by --max-entries\n    {}",
                        place, options_.most_entries, text));
    }

    [[nodiscard]] std::size_t elements_of(SetKind kind, unsigned key) const {
        return kind == SetKind::net_port ? ranges_[key].last - ranges_[key].first + 1U : 1U;
    }

    Sources& shadow(SetKind kind, unsigned key) {
        if (kind == SetKind::net_port) return port_[key];
        return kind == SetKind::net_iface ? iface_[key] : net_;
    }

    // May an entry be asked before all of this group?
    static bool passes(const Group& group, const Block& source, bool drop) {
        return !group.anywhere[!drop].meets(source);
    }

    // Is there something that comes first until it expires, and would not in one set with it?
    static bool waits(const Group& group, const std::vector<unsigned>& keys, const Block& source,
                      const Claim& claim) {
        return std::any_of(keys.begin(), keys.end(), [&](unsigned key) {
            const auto table = group.tables.find(key);
            return table != group.tables.end() &&
                   table->second.any_around(source, [&](const Block& block, const Claim& around) {
                       // A place has one entry.
                       return around.timeout != 0 && (around.drop != claim.drop || block == source);
                   });
        });
    }

    Group& group_for(SetKind kind, const std::vector<unsigned>& keys, const Block& source,
                     const Claim& claim) {
        for (std::size_t i = groups_.size(); i-- > 0;) {
            if (groups_[i].kind == kind) {
                if (waits(groups_[i], keys, source, claim)) break;
                return groups_[i];
            }
            if (!passes(groups_[i], source, claim.drop)) break;
        }
        groups_.push_back({});
        groups_.back().kind = kind;
        return groups_.back();
    }

    // A group moves back into the next of its kind where nothing in between minds. What is
    // behind one that expires may have to wait there.
    void join_groups() {
        for (std::size_t i = groups_.size(); i-- > 0;) {
            std::size_t to = i + 1;
            while (to < groups_.size() && groups_[to].kind != groups_[i].kind) to++;
            if (to == groups_.size() || groups_[i].expires) continue;
            bool free = true;
            for (std::size_t between = i + 1; free && between < to; between++)
                for (const auto& [key, table] : groups_[i].tables)
                    for (const auto& [source, claim] : table.entries())
                        free = free && passes(groups_[between], source, claim.drop);
            if (!free) continue;
            for (const auto& [key, table] : groups_[i].tables)
                for (const auto& [source, claim] : table.entries()) groups_[to].add(key, source, claim);
            groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }

    // What the next wider prefix of the same table says as well, and for good.
    std::size_t leave_out_same() {
        std::size_t left_out = 0;
        for (Group& group : groups_)
            for (auto& [key, table] : group.tables) {
                std::vector<std::pair<Block, Claim>> open;
                std::vector<Block> same;
                for (const auto& [source, claim] : table.entries()) {
                    while (!open.empty() && !open.back().first.contains(source)) open.pop_back();
                    if (!open.empty() && open.back().second.drop == claim.drop &&
                        open.back().second.timeout == 0)
                        same.push_back(source);
                    else
                        open.emplace_back(source, claim);
                }
                for (const Block& source : same) table.remove(source);
                left_out += same.size();
            }
        return left_out;
    }

    // An entry that accepts has an effect only where something around or behind it drops.
    std::size_t leave_out_accepts() {
        std::size_t left_out = 0;
        Sources drops;  // of the groups behind
        for (std::size_t i = groups_.size(); i-- > 0;) {
            for (auto& [key, table] : groups_[i].tables) {
                std::vector<Block> idle;
                for (const auto& [source, claim] : table.entries()) {
                    if (claim.drop || drops.meets(source)) continue;
                    if (!table.any_around(source,
                                          [](const Block&, const Claim& around) { return around.drop; }))
                        idle.push_back(source);
                }
                for (const Block& source : idle) table.remove(source);
                left_out += idle.size();
            }
            for (const auto& [key, table] : groups_[i].tables)
                for (const auto& [source, claim] : table.entries())
                    if (claim.drop) drops.add(source, true);
        }
        return left_out;
    }

    // In a set by interface the kernel's search ends at the longest network that is there, be
    // it for other interfaces. Does one of `narrow` end it before one of `wide`?
    static bool hides(const Claims& narrow, const Claims& wide) {
        return std::any_of(narrow.entries().begin(), narrow.entries().end(), [&](const auto& entry) {
            const Block& source = entry.first;
            if (source.length == 0 || !wide.covers(source.widened(source.length - 1))) return false;
            const Claim* same = wide.at(source);
            return !same || same->timeout != 0;
        });
    }

    // The tables of a group, as sets can hold them together. A packet comes by one interface,
    // so that the order of sets by interface does not matter.
    static std::vector<std::vector<unsigned>> shares(const Group& group) {
        std::vector<std::vector<unsigned>> together;
        for (const auto& [key, table] : group.tables) {
            const auto fits = [&](const std::vector<unsigned>& share) {
                if (group.kind != SetKind::net_iface) return true;
                return share.size() < most_interfaces &&
                       std::none_of(share.begin(), share.end(), [&](unsigned other) {
                           const Claims& others = group.tables.at(other);
                           return hides(table, others) || hides(others, table);
                       });
            };
            const auto share = std::find_if(together.begin(), together.end(), fits);
            if (share == together.end())
                together.push_back({key});
            else
                share->push_back(key);
        }
        return together;
    }

    // The rule's own comment, or where it stands.
    [[nodiscard]] std::string comment_of(const Claim& claim) const {
        const LinearRule* linear = rule_of(claim);
        if (!linear) return "policy";
        const SourceChain& chain = ruleset_.chains[linear->chain];
        const SourceRule& rule = chain.rules[linear->rule];
        if (!rule.comment.empty()) return plain_comment(rule.comment, set_comment_most);
        return plain_comment(ruleset_.nft ? fmt::format("handle {} of {}", rule.line, chain.name)
                                          : fmt::format("line {}", rule.line),
                             set_comment_most);
    }

    // How many elements became of each rule of the file, by chain and place.
    [[nodiscard]] std::map<std::pair<std::size_t, std::size_t>, std::size_t> elements_by_rule() const {
        std::map<std::pair<std::size_t, std::size_t>, std::size_t> elements;
        for (const Group& group : groups_)
            for (const auto& [key, table] : group.tables)
                for (const auto& [source, claim] : table.entries())
                    if (const LinearRule* rule = rule_of(claim))
                        elements[{rule->chain, rule->rule}] += elements_of(group.kind, key);
        return elements;
    }

    void write(const std::string& name, Plan& plan) const {
        const auto elements = elements_by_rule();
        unsigned number = 0;
        const unsigned bits = rules_.family == SW_IPV4 ? 32 : 128;
        for (const Group& group : groups_)
            for (const std::vector<unsigned>& share : shares(group)) {
                PlannedSet set;
                set.family = rules_.family;
                set.kind = group.kind;
                if (options_.skip_cookies) set.accept = SW_MARK_ALLOW;
                bool hosts = true;
                for (const unsigned key : share)
                    for (const auto& [source, claim] : group.tables.at(key).entries()) {
                        PlannedEntry& entry = set.entries.emplace_back();
                        entry.source = source;
                        entry.drop = claim.drop;
                        entry.timeout = claim.timeout;
                        entry.comment = comment_of(claim);
                        if (const LinearRule* rule = rule_of(claim);
                            rule && elements.at({rule->chain, rule->rule}) == 1) {
                            const SourceRule& origin = ruleset_.chains[rule->chain].rules[rule->rule];
                            entry.packets = origin.packets;
                            entry.bytes = origin.bytes;
                        }
                        if (group.kind == SetKind::net_iface) entry.interface = rules_.interfaces[key];
                        if (group.kind == SetKind::net_port) entry.service = ranges_[key];
                        hosts &= source.length == bits;
                    }
                if (set.entries.empty()) continue;
                if (hosts && set.kind == SetKind::net) set.kind = SetKind::ip;
                if (hosts && set.kind == SetKind::net_port) set.kind = SetKind::ip_port;
                set.name = fmt::format("{}{}-{}", name, rules_.family == SW_IPV4 ? 4 : 6, ++number);
                plan.sets.push_back(std::move(set));
            }
    }

    const Ruleset& ruleset_;
    const LinearRules& rules_;
    const ImportOptions& options_;
    Ranges ranges_;
    std::vector<Group> groups_;
    // What any rule so far matches, for good.
    Sources net_;
    std::map<unsigned, Sources> port_;
    std::map<unsigned, Sources> iface_;
    std::size_t elements_ = 0;
};

}  // namespace

Result<void> plan_sets(const Ruleset& ruleset, const LinearRules& rules, const std::string& name,
                       const ImportOptions& options, Plan& plan) {
    return Planner(ruleset, rules, options).run(name, plan);
}

}  // namespace synward
