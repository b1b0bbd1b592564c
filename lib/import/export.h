// SPDX-License-Identifier: GPL-2.0-or-later
// The way back: sets as the linear rules that they stand for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/classify/fates.h"
#include "lib/sets/reader.h"

namespace synward {

enum class ExportFormat : std::uint8_t {
    nft,       // for `nft -f`: a table of its own, both families
    iptables,  // for iptables-restore or ip6tables-restore: one family
    ipset,     // for `ipset restore`: the sets themselves
};

struct ExportOptions {
    ExportFormat format = ExportFormat::iptables;
    sw_family family = SW_IPV4;  // of iptables
};

// All that the kernel tells of an entry: SetEntry, but with text of its own.
struct ExportedEntry {
    Prefix prefix;
    std::uint16_t port = 0;  // as in ServiceRange
    std::uint8_t protocol = 0;
    bool nomatch = false;
    bool wildcard = false;
    bool bridge_port = false;
    std::string interface;  // net_iface
    std::string member;     // list
    std::uint32_t packet_mark = 0;
    std::uint32_t mark = 0;  // skbmark
    std::uint32_t mask = 0;
    std::uint32_t priority = 0;  // skbprio
    std::uint16_t queue = 0;     // skbqueue
    std::uint32_t timeout = 0;   // seconds left; 0: stays
    std::string comment;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;

    // The class byte, of which 0 is no fate and ends the search too. Nothing: it says
    // nothing, and the next set is asked.
    [[nodiscard]] std::optional<std::uint8_t> fate() const;
    // As it was read; valid as long as this.
    [[nodiscard]] SetEntry view() const;
};

struct ExportedSet {
    SetHeader header;
    std::vector<ExportedEntry> entries;
    std::string list;  // whose member it was read as
};

struct Export {
    std::string text;
    std::size_t rules = 0;
    std::vector<std::string> notes;  // what is not as it was
};

// The sets in the order of their look-up; of lists, their members and then the list. Code
// `missing` for one that is not there.
[[nodiscard]] Result<std::vector<ExportedSet>> read_sets_to_export(SetReader& reader,
                                                                   const std::vector<std::string>& names);
// Rules that decide as the sets do. A fate that only marks becomes RETURN, and so does none:
// the policy (accept) decides. An exception inside a wider entry becomes RETURN too; where a set
// behind says something of it, the set gets a chain of its own, which ends with ACCEPT there.
// Code `config`, naming set and entry, for what rules cannot say: packet marks, bitmasks, and
// entries without a mark in a list that has more to say of them.
[[nodiscard]] Result<Export> export_sets(const std::vector<ExportedSet>& sets, const Fates& fates,
                                         const ExportOptions& options);

}  // namespace synward
