// SPDX-License-Identifier: GPL-2.0-or-later
// How fast, and at what price, what the ipset command does reaches the driver hook.
#pragma once

#include <cstdint>
#include <string>

namespace synward::bench {

struct MirrorOptions {
    std::string daemon;            // path of synwardd; empty: beside this program
    unsigned adds = 300;           // whose latency is measured; 0: none
    unsigned among = 100;          // entries that the set has then
    unsigned changes = 1'000'000;  // of the rate, half of them additions; 0: none
    unsigned batch = 100'000;      // entries that are there, or not, in turn meanwhile
    unsigned entries = 1'000'000;  // of the large set; 0: none
    double idle = 10;              // seconds
};

struct MirrorReport {
    struct Latency {
        double least = 0, p50 = 0, p99 = 0,
               most = 0;  // ms, from the return of the addition to the first drop
    } latency;
    struct Rate {
        double seconds = 0, per_second = 0;  // as ipset did them
        double alone = 0;                    // per second, where no set of this name is bound
        double lag = 0;                      // ms after the last of them until the driver has all
        double cpu = 0;                      // of the daemon, part of a core
    } rate;
    struct Large {
        double seconds = 0;                // from the swap until the driver has all
        uint64_t resident = 0, grown = 0;  // bytes of the daemon, and how much of it came by the set
        uint64_t maps = 0;                 // bytes
        double idle = 0;                   // part of a core while nothing changes
    } large;
    double idle = 0;  // part of a core while nothing changes, with a set of a hundred entries
};

// Throws std::runtime_error.
MirrorReport run_mirror(const MirrorOptions& options);

}  // namespace synward::bench
