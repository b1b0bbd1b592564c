// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/import/prefix_table.h"

namespace synward {
namespace {

// A rule goes into the last set of its kind, if it may be asked before the sets that
// stand behind it: that is so unless an overlapping entry there says otherwise. Else
// it opens a new set at the end. Within a set the longest prefix decides. Of two nested
// prefixes the narrower one came first (or it would be shadowed), so that this is the
// rule that would have matched first.
struct Group {
    SetKind kind = SetKind::net;  // net, net_port, net_iface
    // Of net_port: by the number of an elementary range of ports. Of net_iface: by interface.
    std::map<unsigned, PrefixTable> tables;
    PrefixTable anywhere[2];  // every source by verdict, whatever the table

    void add(unsigned key, const Block& source, bool drop) {
        tables[key].add(source, drop);
        anywhere[drop].add(source, drop);
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
        for (const LinearRule& rule : rules_.rules) {
            const auto taken = take_all(rule);
            if (!taken) return tl::unexpected(taken.error());
            (*taken ? plan.used : plan.shadowed).emplace(rule.chain, rule.rule);
        }
        if (rules_.drops) {
            LinearRule policy;
            policy.drop = true;
            if (const auto taken = take_all(policy); !taken) return tl::unexpected(taken.error());
        }
        join_groups();
        plan.without_effect += leave_out_same() + leave_out_accepts();
        write(name, plan);
        return {};
    }

  private:
    // False: earlier rules match all that this one does.
    Result<bool> take_all(const LinearRule& rule) {
        if (rule.source.length > 0 || kind_of(rule) == SetKind::net_iface) return take(rule);
        // hash:net has no prefix of length 0, but both halves of it.
        LinearRule half = rule;
        half.source = {0, 1};
        const auto lower = take(half);
        if (!lower) return lower;
        half.source = {AddressNumber(1) << 127, 1};
        const auto upper = take(half);
        if (!upper) return upper;
        return *lower || *upper;
    }

    Result<bool> take(const LinearRule& rule) {
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

        Group& group = group_for(kind, rule);
        for (const unsigned key : keys) {
            group.add(key, rule.source, rule.drop);
            if (kind == SetKind::net) net_.add(rule.source, rule.drop);
            if (kind == SetKind::net_port) port_[key].add(rule.source, rule.drop);
            if (kind == SetKind::net_iface) iface_[key].add(rule.source, rule.drop);
            elements_ += kind == SetKind::net_port ? ranges_[key].last - ranges_[key].first + 1U : 1U;
        }
        if (elements_ > options_.most_entries) {
            const SourceChain& chain = ruleset_.chains[rule.chain];
            const std::string place =
                chain.rules.empty() ? chain.name : ruleset_.place(chain, chain.rules[rule.rule]);
            return fail(
                ErrorCode::config,
                fmt::format(
                    "{}: with it the sets have more than {} elements, since a set holds every port of "
                    "a range by itself; allow more by --max-entries\n    {}",
                    place, options_.most_entries, chain.rules.empty() ? "" : chain.rules[rule.rule].text));
        }
        return true;
    }

    // May an entry be asked before all of this group?
    static bool passes(const Group& group, const Block& source, bool drop) {
        return !group.anywhere[!drop].meets(source);
    }

    Group& group_for(SetKind kind, const LinearRule& rule) {
        for (std::size_t i = groups_.size(); i-- > 0;) {
            if (groups_[i].kind == kind) return groups_[i];
            if (!passes(groups_[i], rule.source, rule.drop)) break;
        }
        groups_.push_back({});
        groups_.back().kind = kind;
        return groups_.back();
    }

    // A group moves back into the next of its kind where nothing in between minds.
    void join_groups() {
        for (std::size_t i = groups_.size(); i-- > 0;) {
            std::size_t to = i + 1;
            while (to < groups_.size() && groups_[to].kind != groups_[i].kind) to++;
            if (to == groups_.size()) continue;
            bool free = true;
            for (std::size_t between = i + 1; free && between < to; between++)
                for (const auto& [key, table] : groups_[i].tables)
                    for (const auto& [source, drop] : table.entries())
                        free = free && passes(groups_[between], source, drop);
            if (!free) continue;
            for (const auto& [key, table] : groups_[i].tables)
                for (const auto& [source, drop] : table.entries()) groups_[to].add(key, source, drop);
            groups_.erase(groups_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }

    // What the next wider prefix of the same table says as well.
    std::size_t leave_out_same() {
        std::size_t left_out = 0;
        for (Group& group : groups_)
            for (auto& [key, table] : group.tables) {
                std::vector<std::pair<Block, bool>> open;
                std::vector<Block> same;
                for (const auto& [source, drop] : table.entries()) {
                    while (!open.empty() && !open.back().first.contains(source)) open.pop_back();
                    if (!open.empty() && open.back().second == drop)
                        same.push_back(source);
                    else
                        open.emplace_back(source, drop);
                }
                for (const Block& source : same) table.remove(source);
                left_out += same.size();
            }
        return left_out;
    }

    // An entry that accepts has an effect only where something behind it drops.
    std::size_t leave_out_accepts() {
        std::size_t left_out = 0;
        PrefixTable drops;  // of the groups behind
        for (std::size_t i = groups_.size(); i-- > 0;) {
            for (auto& [key, table] : groups_[i].tables) {
                std::vector<Block> idle;
                for (const auto& [source, drop] : table.entries()) {
                    if (drop || drops.meets(source)) continue;
                    // Entries of one verdict are not nested directly, so a wider one drops.
                    const bool* wider =
                        source.length ? table.find(source.widened(source.length - 1)) : nullptr;
                    if (!wider || !*wider) idle.push_back(source);
                }
                for (const Block& source : idle) table.remove(source);
                left_out += idle.size();
            }
            for (const auto& [key, table] : groups_[i].tables)
                for (const auto& [source, drop] : table.entries())
                    if (drop) drops.add(source, true);
        }
        return left_out;
    }

    void write(const std::string& name, Plan& plan) const {
        unsigned number = 0;
        const unsigned bits = rules_.family == SW_IPV4 ? 32 : 128;
        for (const Group& group : groups_) {
            PlannedSet set;
            set.family = rules_.family;
            set.kind = group.kind;
            if (options_.skip_cookies) set.accept = SW_MARK_ALLOW;
            bool hosts = true;
            for (const auto& [key, table] : group.tables)
                for (const auto& [source, drop] : table.entries()) {
                    PlannedEntry entry{source, {}, {}, drop};
                    if (group.kind == SetKind::net_iface) entry.interface = rules_.interfaces[key];
                    if (group.kind == SetKind::net_port) entry.service = ranges_[key];
                    hosts &= source.length == bits;
                    set.entries.push_back(std::move(entry));
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
    // What any rule so far matches.
    PrefixTable net_;
    std::map<unsigned, PrefixTable> port_;
    std::map<unsigned, PrefixTable> iface_;
    std::size_t elements_ = 0;
};

}  // namespace

Result<void> plan_sets(const Ruleset& ruleset, const LinearRules& rules, const std::string& name,
                       const ImportOptions& options, Plan& plan) {
    return Planner(ruleset, rules, options).run(name, plan);
}

}  // namespace synward
