// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "lib/sets/entry_words.h"

namespace synward {

Error explain(Error error, const SetHeader& header) {
    const auto says = [&](std::string_view part) { return error.message.find(part) != std::string::npos; };
    const std::string& name = header.name;
    if (says("Hash is full") || says("set is full"))
        error.message = fmt::format(
            "the set {} is full ({} of {} entries): take some out (synward forget), or make a larger one, "
            "copy "
            "the entries and swap it in: ipset {}; ipset save {} | sed -n 's/^add {} /add {}-large /p' | "
            "ipset restore; ipset swap {}-large {}",
            name, header.elements, header.most,
            create_command(name + "-large", header.kind, header.family.value_or(SW_IPV4), 2 * header.most),
            name, name, name, name, name);
    else if (says("set with the same name already exists"))
        error = {
            fmt::format("there is a set {} already: destroy it (ipset destroy {}), or choose another name",
                        name, name),
            ErrorCode::busy};
    else if (says("is in use by a kernel component"))
        error = {
            fmt::format("the set {} is in use by {} {}: take it out of classify.sets, or out of the rule or "
                        "list that names it, and try again",
                        name, header.references, header.references == 1 ? "user" : "users"),
            ErrorCode::busy};
    else if (says("set type not supported") || says("Kernel support protocol versions"))
        error = {fmt::format("the kernel has no sets of type {} as they are needed: load the module that has "
                             "them (ip_set_{}), or use another type",
                             header.type,
                             [&] {
                                 std::string module = header.type;
                                 std::erase(module, ',');
                                 std::replace(module.begin(), module.end(), ':', '_');
                                 return module;
                             }()),
                 ErrorCode::unsupported};
    return error;
}

}  // namespace synward
