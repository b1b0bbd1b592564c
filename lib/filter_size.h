// SPDX-License-Identifier: GPL-2.0-or-later
// How large the filter of known connections should be (struct sw_filter). Pure but for
// count_sockets(). Thread-safe.
#pragma once

#include <cstdint>

namespace synward {

struct FilterUse {
    unsigned shift = 0;        // the generation that is filled has 1 << shift bits
    unsigned other_shift = 0;  // and the one before
    std::uint64_t bits = 0;    // set in the one that is filled
};

// How many connections set so many of 1 << shift bits, if each picks one at random: linear
// counting (Whang, Vander-Zanden, Taylor: A Linear-Time Probabilistic Counting Algorithm, 1990).
[[nodiscard]] std::uint64_t estimate_connections(std::uint64_t bits, unsigned shift);

// The size of the next generation, as a shift: at least 32 bits for each connection, so that
// one spoofed packet in 32 at most costs a look-up. It does not get smaller by one step only,
// or a number near a border would change it each time.
[[nodiscard]] unsigned next_filter_shift(unsigned shift, std::uint64_t connections);

// Should it be renewed before its time? It fills up and may grow, or is full of connections that
// have ended (there are `sockets`), or its generations differ in size, so that the larger one
// takes from the caches what the smaller one saves.
[[nodiscard]] bool filter_wants_renewal(const FilterUse& use, std::uint64_t sockets);

// TCP sockets of the calling thread's network namespace, of any port, TIME_WAIT included;
// UINT32_MAX if the kernel does not say.
[[nodiscard]] std::uint64_t count_sockets();

}  // namespace synward
