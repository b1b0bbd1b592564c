// SPDX-License-Identifier: GPL-2.0-or-later
// The way back: sets as the linear rules that they stand for.
#pragma once

#include <cstdint>
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

struct ExportedEntry {
    Prefix prefix;
    std::uint16_t port = 0;  // as in ServiceRange
    std::uint8_t protocol = 0;
    std::uint8_t mark = 0;  // the class byte; 0: no fate
    bool nomatch = false;
    std::string interface;  // net_iface
    std::uint32_t packet_mark = 0;
};

struct ExportedSet {
    SetHeader header;
    std::vector<ExportedEntry> entries;
};

struct Export {
    std::string text;
    std::size_t rules = 0;
    std::vector<std::string> notes;  // what is not as it was
};

// The sets in the order of their look-up; of lists, their members. Code `missing` for one that is not there.
[[nodiscard]] Result<std::vector<ExportedSet>> read_sets_to_export(SetReader& reader,
                                                                   const std::vector<std::string>& names);
// Rules that decide as the sets do. A fate that only marks becomes RETURN: the policy
// (accept) decides. Code `config` for what rules cannot say: exceptions (nomatch) inside
// a wider entry, and packet marks.
[[nodiscard]] Result<Export> export_sets(const std::vector<ExportedSet>& sets, const Fates& fates,
                                         const ExportOptions& options);

}  // namespace synward
