// SPDX-License-Identifier: GPL-2.0-or-later
// Every number the deciders go by. docs/deciding.md says what each is good for.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "lib/abi/policy.h"
#include "lib/result.h"

namespace synward {

// Events a second on average, and so many at once. per_second 0: no limit.
struct Limit {
    std::uint32_t per_second = 0;
    std::uint32_t burst = 1;

    bool operator==(const Limit&) const = default;
};

// What a decider says of a packet.
enum class Opinion : std::uint8_t { none, accept, drop };

// Rates are those that one worker sees (one ring or queue).
struct DecideConfig {
    using ms = std::chrono::milliseconds;

    // Decide and report, but let every verdict be the service's default and do nothing else.
    bool dry_run = false;

    // Handshake completion.
    std::uint32_t proven_sources = 65536;   // hosts of each family that are remembered
    std::uint32_t proven_prefixes = 16384;  // nets (/24, /48) of each family
    ms proven_window{600'000};              // a handshake speaks for its source this long
    std::uint32_t prefix_handshakes = 8;    // so many of them speak for their net
    Limit proven{20, 100};                  // doubtful packets of a proven host
    Limit neighbour{10, 50};                // of a net that is only proven as a whole
    ms proven_pass{500};                    // ticket: pass; short, since nobody counts meanwhile
    ms proven_pass_every{30'000};           // and not again before
    ms proven_syn_pass{60'000};             // ticket for odd SYNs: pass, which is a cookie
    ms revoke{10'000};                      // over `proven`: all are dropped this long

    // Strays against conntrack and sockets.
    std::uint32_t known_flows = 262'144;  // for so many the filter is made, 16 bytes each
    ms known_flows_age{60'000};           // older than that, a filter says nothing of what is not in it
    std::uint32_t stray_repeats = 3;      // strays of one host in quick succession that make a ticket
    ms stray_drop{10'000};                // ticket: drop
    ms known_pass{1000};                  // ticket: pass, for known connections; renewed by each

    // SYN shapes.
    std::uint32_t shapes = 2048;     // (service, shape) pairs that are remembered
    std::uint32_t shape_normal = 8;  // observations that make a shape normal
    ms shape_half_life{86'400'000};  // after which an observation counts half
    Limit shape_unknown{10, 20};     // SYNs of one unknown shape to one service
    Limit shape_variety{100, 200};   // of all unknown shapes to one service
    ms shape_pass{60'000};           // ticket: pass, which is a cookie
    ms shape_drop{5'000};            // ticket: drop; short, a real stack may look the same

    // Rates of doubtful packets by prefix, for strays, fragments and malformed packets each.
    std::uint32_t rate_sources = 2560;  // prefixes of each family, scope and kind that are counted at once
    Limit host_rate{10, 50};
    Limit net_rate{100, 500};
    ms rate_drop{10'000};                // ticket: drop, and as long the host stays over its limit
    Opinion fragment = Opinion::accept;  // within the limits; none: the service's default
    Opinion malformed = Opinion::drop;   // likewise

    // Connection floods: completed handshakes, which nobody can forge.
    Limit connections{100, 1000};          // of one host (/32, /64)
    Limit site_connections{1000, 10'000};  // of one IPv6 /48, which is one customer; never of an IPv4 /24
    ms deny{60'000};                       // timeout of the entry in the deny set
    std::array<std::string, SW_FAMILIES> deny_set{"synward-deny4", "synward-deny6"};

    // Skb mark of packets that are accepted: new mark = (old & ~mask) | (mark & mask).
    // Byte 0 is the class that classification brings into the conntrack mark of a new
    // connection; byte 1 is the question itself, which is always taken away.
    std::uint32_t accept_mark = 0;
    std::uint32_t accept_mask = 0;

    // Decisions that `synward why` can look back on, of each worker: all of them,
    // and those with an action.
    std::uint32_t log_decisions = 1024;
    std::uint32_t log_actions = 4096;

    bool operator==(const DecideConfig&) const = default;
};

// Where what comes up, and what becomes of it, is written down.
struct RecordConfig {
    static constexpr std::uint32_t mebibyte = 1 << 20;

    std::string file;                                    // empty: nowhere
    std::uint64_t limit = 64 * std::uint64_t{mebibyte};  // bytes

    bool operator==(const RecordConfig&) const = default;
};

// Code `config` names the first number that is out of range, and the range.
[[nodiscard]] Result<void> check(const DecideConfig& config);

}  // namespace synward
