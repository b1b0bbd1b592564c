// SPDX-License-Identifier: GPL-2.0-or-later
// Does a list of sets decide as the ruleset does? Two answers that share no code with
// what made the sets: a proof over the whole address space where that is affordable, and
// packets at every boundary and at random.
//
// The proof: the interfaces and the ports that rules or entries name divide all packets
// into classes; within a class, the prefixes divide the addresses into regions in which
// neither side changes its mind. Each region of each class is compared, where something
// expires also when it has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/import/flatten.h"
#include "lib/import/plan.h"

namespace synward {

// The first of a connection.
struct TestPacket {
    sw_family family = SW_IPV4;
    AddressNumber source = 0;
    std::string interface;  // empty: one that no rule names
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;   // as in ServiceRange
    std::uint32_t after = 0;  // seconds: what expires by then is gone
};
[[nodiscard]] std::string packet_text(const TestPacket& packet);

// What the ruleset does with it: rule by rule, chain by chain. Null: the policy decides.
struct RulesetVerdict {
    bool drop = false;
    const SourceChain* chain = nullptr;
    const SourceRule* rule = nullptr;
};
[[nodiscard]] RulesetVerdict ask_ruleset(const Ruleset& ruleset, const TestPacket& packet);

struct ProofOptions {
    std::size_t random_packets = 100'000;
    std::uint64_t seed = 0;
    std::size_t most_steps = 300'000'000;  // of the proof; beyond, packets must do
};

struct Proof {
    bool whole = true;  // every region of every class was compared
    std::size_t classes = 0;
    std::size_t regions = 0;
    std::size_t boundary = 0;  // packets
    std::size_t random = 0;
    std::size_t one_by_one = 0;                 // of the random ones: asked rule by rule
    std::optional<std::string> counterexample;  // the first that was found
};

// `sets` of all families in their order, at most 64; those of another family are left alone.
void verify(const Ruleset& ruleset, const LinearRules& rules, const std::vector<PlannedSet>& sets,
            const ProofOptions& options, Proof& proof);

}  // namespace synward
