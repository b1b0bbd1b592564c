// SPDX-License-Identifier: GPL-2.0-or-later
// What the table 'inet synward' has of the one rule (lib/classify/fate_rule.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/nft_table.h"
#include "lib/result.h"

namespace synward::fate_table {

inline constexpr const char* chain_name = "classify";
inline constexpr const char* map_name = "fate";
inline constexpr int priority = -140;
inline constexpr std::uint32_t type_mark = 19;  // nft's number of the type; the kernel only keeps it
inline constexpr int attempts = 5;              // somebody else may change the ruleset at the same time

struct Element {
    std::uint32_t mark = 0;
    std::uint32_t verdict = 0;  // NF_ACCEPT, NF_DROP, NFT_JUMP ...
    std::string comment;
};

// What the table has of ours.
struct Reading {
    std::uint32_t generation = 0;  // of the whole ruleset
    bool table = false;
    bool dormant = false;
    bool map = false;
    bool map_fits = false;
    bool chain = false;
    bool chain_fits = false;
    std::size_t rules = 0;
    bool rule_fits = false;  // that of the last one; there should be one
    std::vector<Element> elements;
};

// Everything of one generation of the ruleset; `busy` where it changes faster than it is read.
[[nodiscard]] Result<Reading> read(NetlinkSocket& socket);

// `what` and what the kernel said, with what to do. `busy` for ERESTART and EAGAIN: others were quicker.
[[nodiscard]] tl::unexpected<Error> fail_table(const NetlinkAnswer& answer, std::string_view what);

}  // namespace synward::fate_table
