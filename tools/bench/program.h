// SPDX-License-Identifier: GPL-2.0-or-later
// Time per packet of XDP programs, case by case.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cases.h"
#include "peer.h"

namespace synward::bench {

struct ProgramOptions {
    RunnerOptions runner;
    int cpu = 1;
    std::vector<sw_family> families = {SW_IPV4, SW_IPV6};
    std::string filter;  // only cases whose name contains it
    std::string object;  // synward.bpf.o; empty: searched
    PeerOptions peers;   // beside synward, or alone
    bool synward = true;
    // programs that run already
    std::vector<uint32_t> ids;
    std::vector<std::string> pinned, interfaces;
    // where packets to peers go, if not where synward's do
    std::string to4, to6, to_mac;
    uint16_t port = 80;
};

struct Measured {
    std::string program;
    std::string name;
    sw_family family = SW_IPV4;
    Cost cost;
    double budget = 0;
    std::string way;          // synward: the reason that most packets ended in
    double share = 1;         // of them
    bool as_expected = true;  // synward: it is the reason of the case
};

std::vector<Measured> measure_programs(const ProgramOptions& options);

}  // namespace synward::bench
