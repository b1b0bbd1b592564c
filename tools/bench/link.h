// SPDX-License-Identifier: GPL-2.0-or-later
// Interfaces, routes and neighbours of the current network namespace, by rtnetlink.
// Everything here throws std::runtime_error.
#pragma once

#include <optional>
#include <string>

#include "network.h"

namespace synward::bench {

struct Link {
    unsigned index = 0;
    std::string name;
    Mac mac{};
    uint64_t rx_packets = 0;
    uint64_t tx_packets = 0;
    uint64_t tx_dropped = 0;
};

Link read_link(const std::string& name);

struct NextHop {
    unsigned interface = 0;
    Address address;  // gateway, or the destination itself
};
NextHop route_to(const Address& destination);

// The MAC address of the next hop towards `destination`; asks the network for it when the
// kernel does not know it yet, for at most two seconds.
Mac resolve(const Link& link, const Address& destination);

}  // namespace synward::bench
