// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/binding.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/sets/ipset.h"

namespace synward {
namespace {

constexpr std::uint8_t src = 1;      // first dimension of the source
constexpr std::uint8_t src_src = 3;  // both

const SetHeader* find_set(const std::vector<SetHeader>& there, std::string_view name) {
    const auto found =
        std::find_if(there.begin(), there.end(), [&](const SetHeader& s) { return s.name == name; });
    return found == there.end() ? nullptr : &*found;
}

// Dimensions by kind; false: entries of this kind cannot carry a verdict.
bool fit(SetKind kind, BoundSet& set) {
    switch (kind) {
        case SetKind::ip:
        case SetKind::net:
            return true;
        case SetKind::ip_port:
        case SetKind::net_port:
            set.dim = 2;
            set.flags = src;
            return true;
        case SetKind::net_iface:
            set.dim = 2;
            set.flags = src_src;
            return true;
        case SetKind::ip_mark:
            set.dim = 2;
            set.flags = src;
            set.by_mark = true;
            return true;
        case SetKind::list:
        case SetKind::other:
            break;
    }
    return false;
}

// All members are asked with the same words.
std::string fit_list(const std::vector<std::string>& members, const std::vector<SetHeader>& there,
                     BoundSet& list) {
    bool port = false;
    bool interface = false;
    for (const std::string& name : members) {
        const SetHeader* member = find_set(there, name);
        BoundSet one;
        if (!member || !fit(member->kind, one)) continue;  // the kernel passes over it
        port |= one.dim == 2 && one.flags == src && !one.by_mark;
        interface |= one.flags == src_src;
        list.by_mark |= one.by_mark;
    }
    if (port && interface)
        return "it holds sets by port and sets by interface, which cannot be asked by one rule; bind them "
               "one by one";
    if (port || interface || list.by_mark) list.dim = 2;
    if (interface) list.flags = src_src;
    return {};
}

}  // namespace

std::string direction_words(const BoundSet& set) {
    std::string words;
    for (unsigned i = 0; i < set.dim; i++)
        words += fmt::format("{}{}", i ? "," : "", set.flags >> i & 1 ? "src" : "dst");
    return words;
}

BindingPlan plan_binding(const std::vector<std::string>& wanted, const std::vector<SetHeader>& there,
                         const std::function<std::vector<std::string>(const std::string&)>& members) {
    BindingPlan plan;
    for (const std::string& name : wanted) {
        const SetHeader* header = find_set(there, name);
        const auto refuse = [&](std::string_view why) {
            plan.problems.push_back(fmt::format("set '{}' is left out: {}", name, why));
        };
        if (!is_set_word(name)) {
            refuse("no ipset can have this name");
        } else if (!header) {
            plan.waited.push_back(name);
        } else if (header->kind == SetKind::list && header->skbinfo) {
            refuse("a list with skbinfo hides the marks of its members; make it without");
        } else if (header->kind != SetKind::list && !header->skbinfo) {
            refuse(
                "its entries cannot carry marks; make it with the option skbinfo (ipset create ... skbinfo)");
        } else {
            BoundSet set{name, header->type, header->family};
            std::string why;
            if (header->kind == SetKind::list)
                why = fit_list(members(name), there, set);
            else if (!fit(header->kind, set))
                why = fmt::format(
                    "type {} is not supported; use hash:ip, hash:net, hash:ip,port, hash:net,port, "
                    "hash:net,iface, hash:ip,mark or list:set",
                    header->type);
            if (why.empty())
                plan.sets.push_back(std::move(set));
            else
                refuse(why);
        }
    }
    return plan;
}

}  // namespace synward
