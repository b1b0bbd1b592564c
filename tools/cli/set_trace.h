// SPDX-License-Identifier: GPL-2.0-or-later
// Which sets have an entry for an address.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/address.h"
#include "lib/classify/fates.h"
#include "lib/config.h"
#include "lib/result.h"
#include "lib/sets/reader.h"

namespace synward::cli {

// "marked quarantine", in the form of the class byte: name, what becomes of a connection.
struct EntryFate {
    std::string name;  // "deny", "none", "0x33"; empty: the entry carries no class
    std::string acts;  // "drop", "accept", "continue", "nothing"
};
[[nodiscard]] EntryFate entry_fate(const SetEntry& entry, const Fates& fates);

// {"entry", "fate", "acts", "timeout", "packets", "bytes", "comment"}; null where the set has none of it.
[[nodiscard]] nlohmann::json entry_json(const SetHeader& set, const SetEntry& entry, const Fates& fates);

// Every entry of this host's sets that the address matches, each as entry_json() with "set",
// "bound" and "by" (source, or what else has to fit); bound sets come first and in their
// order, within a set the longest prefix. Members of a list stand where the list does, with "list".
[[nodiscard]] Result<nlohmann::json> trace_sets(SetReader& reader, const ClassifyConfig& classify,
                                                const Address& address);

// A line for each.
[[nodiscard]] std::string trace_text(const nlohmann::json& trace);

}  // namespace synward::cli
