// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight_sets.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "lib/classify/binding.h"
#include "lib/sets/contents.h"

namespace synward {
namespace {

const SetHeader* header_of(const SetsThere& there, std::string_view name) {
    const auto found = std::ranges::find(there.headers, name, &SetHeader::name);
    return found == there.headers.end() ? nullptr : &*found;
}

template <typename Names>
bool is_among(const Names& names, std::string_view name) {
    return std::ranges::find(names, name) != std::ranges::end(names);
}

std::vector<std::string> members_of(const SetsThere& there, const std::string& list) {
    const auto found = there.members.find(list);
    return found == there.members.end() ? std::vector<std::string>() : found->second;
}

std::string set_subject(std::string_view name) {
    return fmt::format("set {}", name);
}

// `message` is of the kind "what is wrong; what to do".
Finding wrong_set(std::string_view name, std::string_view message, std::string_view so_that_it) {
    const std::size_t end = std::min(message.find("; "), message.size());
    const std::size_t rest = std::min(end + 2, message.size());
    return {Severity::warning, set_subject(name),
            fmt::format("{}, so that it {}", message.substr(0, end), so_that_it),
            std::string(message.substr(rest))};
}

// What the mirror says of a set, and what then holds for its marks too.
std::string why_left_out(const SetHeader& set, const SetsThere& there) {
    if (std::string problem = unfit(set); !problem.empty()) return problem;
    for (const std::string& name : members_of(there, set.name))
        if (const SetHeader* member = header_of(there, name))
            if (std::string problem = unfit(*member); !problem.empty()) return problem;
    return {};
}

// Made on first use: that it is not there is no news.
bool made_by_synward(const Config& config, std::string_view name) {
    return is_among(ClassifyConfig().sets, name) ||
           (config.escalates() && is_among(config.decide.deny_set, name));
}

// --- deny sets -------------------------------------------------------------------------

std::string_view deny_key(sw_family family) {
    return family == SW_IPV4 ? "decide.deny_set4" : "decide.deny_set6";
}

// By itself, or as a member of a list.
bool is_bound(const Config& config, const SetsThere& there, std::string_view name) {
    return std::ranges::any_of(config.classify.sets, [&](const std::string& bound) {
        return bound == name || is_among(members_of(there, bound), name);
    });
}

// Why no entry of the deciders gets into it: they write a host of IPv4, or a /64 or /48 of IPv6,
// with a timeout. Empty if it does.
std::string why_refused(const SetHeader& set, sw_family family) {
    if (set.kind != SetKind::net && set.kind != SetKind::ip)
        return fmt::format("it is of type {}, which does not take just any address as hash:net does",
                           set.type);
    if (set.family != family)
        return fmt::format("it is of family {}, and {} is for IPv{}",
                           set.family == SW_IPV4 ? "inet" : "inet6", deny_key(family),
                           family == SW_IPV4 ? 4 : 6);
    if (set.kind == SetKind::ip && family == SW_IPV6)
        return "it is of type hash:ip and holds no prefixes, and the deciders deny an IPv6 host by its /64";
    if (!set.timeout) return "it was made without timeout, and what the deciders deny is denied for a time";
    return {};
}

void check_deny_set(const Config& config, sw_family family, const SetsThere& there,
                    std::vector<Finding>& findings) {
    const std::string& name = config.decide.deny_set[family];
    const SetHeader* set = header_of(there, name);
    const auto find = [&](Severity severity, std::string text, std::string fix) {
        findings.push_back({severity, set_subject(name), std::move(text), std::move(fix)});
    };
    if (const std::string why = set ? why_refused(*set, family) : std::string(); !why.empty())
        return find(Severity::error, fmt::format("{}, so that the deciders can deny nobody by it", why),
                    fmt::format("name another set as {} (one that does not exist is made as it has to be), "
                                "or ipset destroy {}",
                                deny_key(family), name));
    if (set && (set->bitmask || set->netmask))
        find(Severity::warning,
             "it has a netmask or bitmask: with a host that the deciders deny its neighbours are denied",
             "make it without");
    const bool bound = is_bound(config, there, name);
    if (!bound && set && !set->skbinfo)
        find(Severity::note,
             "its entries have no room for marks: what the deciders deny there is for rules of your own, and "
             "acts neither at the driver hook nor by the one rule",
             fmt::format(
                 "to have it act there, make it anew with skbinfo (synward set create {} {}{}) and add "
                 "it to classify.sets",
                 name, set->type, family == SW_IPV6 ? " --family inet6" : ""));
    else if (!bound)
        find(Severity::note,
             fmt::format("it is {} and not in classify.sets: what the deciders deny there is for rules of "
                         "your own, and acts neither at the driver hook nor by the one rule",
                         deny_key(family)),
             "add it to classify.sets");
    else if (is_among(config.classify.sets, name) && !is_among(DecideConfig().deny_set, name))
        find(Severity::warning,
             fmt::format("it is in classify.sets and {} as well: what the deciders say of one host counts "
                         "before an entry of yours for its net, which may allow it",
                         deny_key(family)),
             fmt::format("write none of yours into {}, or give the deciders a set of their own in "
                         "classify.sets ({} = \"{}\")",
                         name, deny_key(family), DecideConfig().deny_set[family]));
}

// --- reading ---------------------------------------------------------------------------

Result<void> read_header(SetReader& reader, const std::string& name, SetsThere& there) {
    if (header_of(there, name)) return {};
    auto header = reader.header(name);
    if (header)
        there.headers.push_back(std::move(*header));
    else if (header.error().code != ErrorCode::missing)
        return tl::unexpected(header.error());
    return {};
}

Result<SetsThere> read_sets(SetReader& reader, const Config& config) {
    SetsThere there;
    std::vector<std::string> names = config.classify.sets;
    if (config.escalates())
        names.insert(names.end(), config.decide.deny_set.begin(), config.decide.deny_set.end());
    for (const std::string& name : names) {
        if (auto done = read_header(reader, name, there); !done) return tl::unexpected(done.error());
        const SetHeader* set = header_of(there, name);
        if (!set || set->kind != SetKind::list) continue;
        std::vector<std::string>& members = there.members[name];
        if (!members.empty()) continue;
        const auto read =
            reader.read(name, [&](const SetEntry& entry) { members.emplace_back(entry.member); });
        if (!read && read.error().code != ErrorCode::missing) return tl::unexpected(read.error());
        for (const std::string& member : members)
            if (auto done = read_header(reader, member, there); !done) return tl::unexpected(done.error());
    }
    return there;
}

}  // namespace

std::vector<Finding> look_at_sets(const Config& config) {
    const bool wanted = config.classify.enabled || config.escalates();
    auto reader = SetReader::open();
    if (!reader && !wanted) return {};
    if (!reader && reader.error().code == ErrorCode::unsupported)
        return {{Severity::warning, "ipset", reader.error().message, ""}};
    const auto there =
        reader ? read_sets(*reader, config) : Result<SetsThere>(tl::unexpected(reader.error()));
    if (!there)
        return {{Severity::note, "ipset",
                 fmt::format("the ipsets could not be read and were not checked: {}", there.error().message),
                 ""}};
    auto findings = check_bound_sets(config, *there);
    for (Finding& finding : check_deny_sets(config, *there)) findings.push_back(std::move(finding));
    return findings;
}

std::vector<Finding> check_bound_sets(const Config& config, const SetsThere& there) {
    std::vector<Finding> findings;
    for (const std::string& name : config.classify.sets) {
        const SetHeader* set = header_of(there, name);
        if (!set) {
            if (!made_by_synward(config, name))
                findings.push_back({Severity::note, set_subject(name),
                                    "there is no such ipset yet: it is waited for, and acts from then on",
                                    fmt::format("synward set create {} hash:net, or take it out of "
                                                "classify.sets",
                                                name)});
        } else if (const std::string why = why_left_out(*set, there); !why.empty()) {
            findings.push_back(wrong_set(name, why, "is left out and its entries decide nothing"));
        } else if (config.classify.enabled) {
            const BindingPlan plan = plan_binding(
                {name}, there.headers, [&](const std::string& list) { return members_of(there, list); });
            for (const std::string& problem : plan.problems)
                findings.push_back(wrong_set(name, problem, "marks no connection"));
        }
    }
    return findings;
}

std::vector<Finding> check_deny_sets(const Config& config, const SetsThere& there) {
    std::vector<Finding> findings;
    if (!config.escalates()) return findings;
    const auto& sets = config.decide.deny_set;
    if (sets[SW_IPV4] == sets[SW_IPV6])
        return {{Severity::error, set_subject(sets[SW_IPV4]),
                 "it is both decide.deny_set4 and decide.deny_set6, but a set holds addresses of one family",
                 "give each a set of its own"}};
    for (const sw_family family : {SW_IPV4, SW_IPV6}) check_deny_set(config, family, there, findings);
    return findings;
}

}  // namespace synward
