// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/connection_class.h"

#include <algorithm>

#include "lib/sets/contents.h"

namespace synward {
namespace {

// Entries of hash:ip,mark are of one address each.
template <typename Key>
bool holds(const SetContents& set, const Address& source) {
    const auto& entries = set.entries<Key>();
    const Key key = address_key<Key>(source);
    const auto at = std::lower_bound(entries.begin(), entries.end(), key,
                                     [](const auto& entry, const Key& wanted) { return entry.key < wanted; });
    return at != entries.end() && at->key == key;
}

// Whether the set, or any member of a list, has an entry for the source and some packet mark.
bool asks_for_mark(const SetContents& set, const Address& source) {
    if (set.header().kind == SetKind::ip_mark && set.header().family == source.family)
        return source.family == SW_IPV4 ? holds<Key4>(set, source) : holds<Key6>(set, source);
    return std::any_of(set.members().begin(), set.members().end(),
                       [&](const auto& member) { return asks_for_mark(*member, source); });
}

bool mark_may_decide(const SetIndex& index, const SetQuery& query) {
    for (const auto& set : index.sets()) {
        if (asks_for_mark(*set, query.source)) return true;
        if (set->find(query).answer == SetContents::Answer::mark) return false;
    }
    return false;
}

}  // namespace

Remarker::Answer class_of(const SetIndex& index, const Connection& connection) {
    // First of an interface that no entry names.
    SetQuery query{connection.source, connection.protocol, connection.destination_port, {}, 0};
    // An entry without a class is as good as none.
    const auto ask = [&] {
        const auto found = index.find(query);
        return found == 0 ? std::nullopt : found;
    };
    Remarker::Answer answer{ask(), mark_may_decide(index, query)};
    std::vector<std::string> interfaces;
    for (const auto& set : index.sets()) set->name_interfaces(connection.source, interfaces);
    answer.unclear |= std::any_of(interfaces.begin(), interfaces.end(), [&](const std::string& interface) {
        query.interface = interface;
        return ask() != answer.found;
    });
    return answer;
}

}  // namespace synward
