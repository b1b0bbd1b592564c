// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/connection_class.h"

#include <algorithm>

#include "lib/sets/contents.h"

namespace synward {

Remarker::Answer class_of(const SetIndex& index, bool by_mark, const Connection& connection) {
    // First of an interface that no entry names.
    SetQuery query{connection.source, connection.protocol, connection.destination_port, {}, 0};
    // An entry without a class is as good as none.
    const auto ask = [&] {
        const auto found = index.find(query);
        return found == 0 ? std::nullopt : found;
    };
    Remarker::Answer answer{ask(), false};
    std::vector<std::string> interfaces;
    for (const auto& set : index.sets()) set->name_interfaces(connection.source, interfaces);
    answer.unclear = std::any_of(interfaces.begin(), interfaces.end(), [&](const std::string& interface) {
        query.interface = interface;
        return ask() != answer.found;
    });
    answer.unclear |= by_mark && !answer.found;
    return answer;
}

}  // namespace synward
