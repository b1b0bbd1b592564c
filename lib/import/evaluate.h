// SPDX-License-Identifier: GPL-2.0-or-later
// What rules and sets say about one packet, by look-up: for many packets.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lib/import/verify.h"

namespace synward {

struct BlockHash {
    std::size_t operator()(const Block& block) const {
        std::uint64_t hash = static_cast<std::uint64_t>(block.first >> 64) * 0x9e3779b97f4a7c15;
        hash = std::rotl(hash ^ static_cast<std::uint64_t>(block.first), 31) * 0xc2b2ae3d27d4eb4f;
        return (hash ^ hash >> 29) + block.length * 0x9e3779b9ULL;
    }
};

[[nodiscard]] inline bool in_range(const std::optional<ServiceRange>& range, const TestPacket& packet) {
    return !range ||
           (range->protocol == packet.protocol && range->first <= packet.port && packet.port <= range->last);
}

[[nodiscard]] inline bool is_expired(std::uint32_t timeout, const TestPacket& packet) {
    return timeout != 0 && timeout <= packet.after;
}

// The rules of a source, in their order; a packet asks those of all prefixes around it.
class RuleIndex {
  public:
    explicit RuleIndex(const LinearRules& rules);
    // Null: no rule matches.
    [[nodiscard]] const LinearRule* find(const TestPacket& packet) const;
    [[nodiscard]] bool drops(const TestPacket& packet) const {
        const LinearRule* rule = find(packet);
        return rule ? rule->drop : rules_.drops;
    }

  private:
    const LinearRules& rules_;
    std::array<bool, 129> lengths_{};
    std::unordered_map<Block, std::vector<std::uint32_t>, BlockHash> by_source_;
};

// Each set as ip_set searches it: by the longest prefix that it has, then shorter ones. In
// a set by interface the search ends at a network that is there, be it for other ones
// (the kernel's ip_set_hash_gen.h, IP_SET_HASH_WITH_MULTI).
class SetSearch {
  public:
    SetSearch(const std::vector<PlannedSet>& sets, sw_family family);
    // Null: no set has an entry.
    [[nodiscard]] const PlannedEntry* find(const TestPacket& packet) const;

  private:
    struct One {
        std::array<bool, 129> lengths{};
        std::unordered_map<Block, std::vector<const PlannedEntry*>, BlockHash> by_source;
    };
    [[nodiscard]] static const PlannedEntry* find_in(const One& set, const TestPacket& packet);

    std::vector<One> sets_;
};

}  // namespace synward
