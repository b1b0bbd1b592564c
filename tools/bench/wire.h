// SPDX-License-Identifier: GPL-2.0-or-later
// Replies per second over a veth pair: every contestant has a pair of namespaces and a pair
// of veth ends of its own, and all are flooded in turn, round after round.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "peer.h"
#include "protection.h"

namespace synward::bench {

struct WireOptions {
    double seconds = 1;  // of one round of one contestant
    unsigned rounds = 5;
    int cpu = 1;
    bool ipv6 = false;
    uint16_t port = 80;
    std::string object;               // synward.bpf.o; empty: searched
    std::vector<std::string> versus;  // other versions of it, contestants by their file's name
    std::vector<std::string> only;
    PeerOptions peers;
};

struct WireResult {
    std::string name;
    double replies = 0;  // per second, median of the rounds
    double frames = 0;   // per second that were sent to it, likewise
    std::vector<double> rounds;
};

std::vector<WireResult> run_wire(const WireOptions& options);

// How many times the rate of `other` that of `result` is: median of the rounds' ratios, since
// what disturbs a machine for seconds disturbs both. 0: the other made nothing.
double times_of(const WireResult& result, const WireResult& other);

}  // namespace synward::bench
