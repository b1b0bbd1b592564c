// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/other_sets.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/sets/contents.h"

namespace synward::cli {
namespace {

constexpr std::size_t most_sources = 16;
constexpr std::uint32_t most_entries = 100'000;
constexpr std::size_t most_near = 1024;

bool has_entries(const SetContents& set) {
    return set.size() > 0 ||
           std::ranges::any_of(set.members(), [](const auto& m) { return has_entries(*m); });
}

}  // namespace

std::vector<std::string> notes_on_other_sets(SetReader& reader, const std::vector<std::string>& bound,
                                             const std::string& changed, const std::vector<Prefix>& sources,
                                             bool forget) {
    std::vector<std::string> notes;
    if (sources.size() > most_sources) return notes;
    for (const std::string& name : bound) {
        if (name == changed) {
            if (!forget) break;
            continue;
        }
        const auto header = reader.header(name);
        if (!header || header->elements > most_entries) continue;
        const auto set = read_set(reader, name);
        if (!set) continue;
        for (const Prefix& source : sources) {
            const auto near = (*set)->around(source, most_near);
            if (near && !has_entries(*near)) continue;
            const std::string text = source.to_string();
            notes.push_back(forget
                                ? fmt::format("the set {0} has an entry for {1} too: forget it there by "
                                              "--set {0}, or see `synward why {2}`",
                                              name, text, source.address.to_string())
                                : fmt::format("the set {} is asked before {} and has an entry for {}, which "
                                              "decides where it fits: see `synward why {}`",
                                              name, changed, text, source.address.to_string()));
        }
    }
    return notes;
}

}  // namespace synward::cli
