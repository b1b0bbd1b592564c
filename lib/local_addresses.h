// SPDX-License-Identifier: GPL-2.0-or-later
// Which addresses are this host's own for the packets of an interface: what the kernel
// would deliver here, whichever device the address was given to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/address.h"
#include "lib/links.h"
#include "lib/result.h"

struct nlmsghdr;

namespace synward {

// A route of type `local`: an address of an interface, or a prefix all of which is local
// (`ip route add local 192.0.2.0/24 dev lo`).
struct LocalRoute {
    Prefix prefix;
    std::uint32_t table = 0;
    unsigned device = 0;

    bool operator==(const LocalRoute&) const = default;
};

struct LocalNetwork {
    std::vector<Link> links;
    std::vector<LocalRoute> routes;

    bool operator==(const LocalNetwork&) const = default;
};

// From a message of RTM_GETROUTE; anything but a local route is left out. Pure.
void take_route(const nlmsghdr* message, std::vector<LocalRoute>& routes);
// Of the caller's network namespace, by rtnetlink.
[[nodiscard]] Result<LocalNetwork> read_local_network();

struct LocalAddresses {
    unsigned index = 0;            // of the interface; 0: it is not there
    std::vector<unsigned> beyond;  // other devices that its packets may pass
    std::vector<Prefix> prefixes;  // sorted, each once; loopback addresses are left out

    [[nodiscard]] bool contains(const Address& address) const;
    bool operator==(const LocalAddresses&) const = default;
};

// What packets of the interface can be delivered to. Linux takes a packet for an address
// of any of its interfaces, so that these are all local routes of the routing domains that
// the packets come into: those of the VRF that the interface, its master or a VLAN on top
// is in, else those of the tables local and main. An IPv6 link-local address counts only
// on the devices that the packets pass. Policy routing (ip rule) is not followed. Pure.
[[nodiscard]] LocalAddresses local_addresses(const LocalNetwork& network, const std::string& interface);

}  // namespace synward
