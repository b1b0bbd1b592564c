// SPDX-License-Identifier: GPL-2.0-or-later
// The sets that stand for a linear ruleset: the first that has an entry for a packet
// decides, within it the longest prefix. What no set has an entry for is accepted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/abi/metadata.h"
#include "lib/import/flatten.h"
#include "lib/sets/reader.h"

namespace synward {

struct PlannedEntry {
    Block source;
    std::string interface;                // net_iface
    std::optional<ServiceRange> service;  // ip_port, net_port
    bool drop = false;
    std::uint32_t timeout = 0;  // seconds; 0: stays
    std::string comment;        // which rule it comes from: is_plain_comment(), or empty
    std::uint64_t packets = 0;  // that the rule has matched, if the entry is all that became of it
    std::uint64_t bytes = 0;

    // How many the kernel makes of it: it writes ranges of ports out.
    [[nodiscard]] std::size_t elements() const {
        return service ? std::size_t(service->last - service->first) + 1 : 1;
    }
};

struct PlannedSet {
    std::string name;
    SetKind kind = SetKind::net;  // ip, net, ip_port, net_port or net_iface
    sw_family family = SW_IPV4;
    std::vector<PlannedEntry> entries;
    std::uint8_t accept = SW_MARK_ACCEPT;  // class byte of those that do not drop

    [[nodiscard]] std::uint8_t mark(const PlannedEntry& entry) const {
        return entry.drop ? SW_MARK_DENY : accept;
    }
    [[nodiscard]] std::size_t elements() const {
        std::size_t sum = 0;
        for (const PlannedEntry& entry : entries) sum += entry.elements();
        return sum;
    }
};

struct Plan {
    std::vector<PlannedSet> sets;  // in the order of look-up
    // By chain and rule: those that decide about some packet, and those of which all that
    // they match is matched earlier. A rule of both families, or of a chain that is jumped
    // to twice, may be among both.
    std::set<std::pair<std::size_t, std::size_t>> used;
    std::set<std::pair<std::size_t, std::size_t>> shadowed;
    std::size_t without_effect = 0;  // entries left out: the verdict is the same without them
};

// Adds the sets of one family, named NAME4-1, NAME4-2 ... (NAME6-1 ...). They decide as the
// rules do now, and whenever some of those have expired. Code `config`, naming the rule,
// where the sets would have more than options.most_entries elements.
Result<void> plan_sets(const Ruleset& ruleset, const LinearRules& rules, const std::string& name,
                       const ImportOptions& options, Plan& plan);

}  // namespace synward
