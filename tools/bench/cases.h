// SPDX-License-Identifier: GPL-2.0-or-later
// The packets that `program` measures: what any program that answers SYNs can be asked, and
// what only synward can, since its maps must be filled first.
#pragma once

#include <string>
#include <vector>

#include "lib/abi/reasons.h"
#include "runner.h"

namespace synward::bench {

// Where the packets go.
struct Target {
    Mac mac{0x02, 0, 0, 0, 0, 0x01};
    Address address[SW_FAMILIES];
    uint16_t port = 80;
    uint16_t idle_port = 81;  // a service in mode auto that is not armed (synward)
    uint16_t free_port = 9;   // no service
};

struct Case {
    std::string name;  // stable: key of the JSON
    sw_family family = SW_IPV4;
    double budget = 0;  // ns at most, of docs/performance.md; 0: none
    Stream stream;
    sw_reason reason = SW_REASON_NO_POLICY;  // where synward must count these packets
};

std::string_view family_name(sw_family family);
// Random sources of a case: half the unicast addresses; no packet leaves the machine.
Prefix random_sources(sw_family family);

Stream syn(const Target& target, sw_family family, const std::vector<uint8_t>& options);
Stream ack(const Target& target, sw_family family, uint16_t port, bool timestamps);

std::vector<Case> syn_cases(const Target& target, sw_family family);
Case bad_ack_case(const Target& target, sw_family family);
Case free_port_case(const Target& target, sw_family family);

// ACKs with good cookies: asks `program` one SYN after the other. Empty when it answers none.
std::vector<bench_entry> harvest(const Runner& runner, int program, const Target& target, sw_family family,
                                 size_t count);
Case good_ack_case(const Target& target, sw_family family, std::vector<bench_entry> entries);

// `count` packets of `count` connections, for flows and denied sources.
std::vector<bench_entry> random_entries(sw_family family, size_t count);

}  // namespace synward::bench
