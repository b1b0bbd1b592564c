// SPDX-License-Identifier: GPL-2.0-or-later
// One linear rule, as iptables-restore and nft read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/import/block.h"
#include "lib/import/ruleset.h"

namespace synward {

// An entry, or several that differ by port alone.
struct ExportedRule {
    Block source;
    sw_family family = SW_IPV4;
    std::string interface;     // empty: any
    bool wildcard = false;     // every interface whose name begins so
    bool bridge_port = false;  // it is the port of a bridge
    std::optional<ServiceRange> service;
    std::uint8_t fate = 0;      // class byte; 0: none
    bool is_exception = false;  // what is there is not of this set: the next one is asked
    std::string comment;
};

// Whole lines, of that chain of iptables and of a chain of nft. Code `config` for what the one or
// the other has no match for; the message names the entry.
[[nodiscard]] Result<std::string> iptables_line(const ExportedRule& rule, std::string_view chain,
                                                std::string_view verdict);
[[nodiscard]] Result<std::string> nft_line(const ExportedRule& rule, std::string_view verdict);

}  // namespace synward
