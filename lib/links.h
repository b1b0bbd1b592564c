// SPDX-License-Identifier: GPL-2.0-or-later
// How the devices of a network namespace hang together: a packet that a network card
// takes in may reach the kernel's IP by another device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/result.h"

struct nlmsghdr;

namespace synward {

class NetlinkSocket;

struct Link {
    unsigned index = 0;
    std::string name;
    std::string kind;         // "vlan", "vrf", "bridge", ...; empty: a card, loopback
    unsigned master = 0;      // index of the bridge, bond or VRF that it is in
    unsigned lower = 0;       // index of the device below, in the same namespace
    std::uint32_t table = 0;  // of a VRF: its routing table

    bool operator==(const Link&) const = default;
};

// From a message of RTM_GETLINK; anything else is left out. Pure.
void take_link(const nlmsghdr* message, std::vector<Link>& links);
// All of the namespace of the socket (NETLINK_ROUTE). `each` sees every message too.
[[nodiscard]] Result<std::vector<Link>> read_links(NetlinkSocket& socket,
                                                   const std::function<void(const nlmsghdr*)>& each = {});

// Where the packets that come in by one interface go.
struct Reach {
    // Every device that they may pass, by index: the interface, what it is enslaved to,
    // VLANs (and macvlans, ipvlans) on top of these, and so on.
    std::vector<unsigned> devices;
    // Those of them by which IP gets the packets. A port of a bridge or bond is none, as
    // the bridge is; a device in a VRF is one, and the VRF is too.
    std::vector<Link> receivers;
    // Without, with a VLAN tag they may end in a VRF, or in a bridge: connections there are
    // beyond what an XDP or tc program at the interface can look up or make.
    bool vrf = false;
    bool vrf_tagged = false;
};
// Pure. Of an interface that is not there: nothing.
[[nodiscard]] Reach reach(const std::vector<Link>& links, unsigned interface);

}  // namespace synward
