// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of a network interface of the caller's network namespace.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "lib/result.h"

namespace synward {

// A page less what XDP and the kernel keep of it: what most drivers' native XDP can take.
inline constexpr unsigned most_native_mtu = 3498;

// A device that frames on the same wire are for, but by a MAC address of its own.
struct Station {
    std::string name;
    std::string kind;  // macvlan, bridge, bond, ...
};

struct Interface {
    std::string name;
    unsigned index = 0;
    unsigned mtu = 1500;
    std::array<std::uint8_t, 6> mac{};  // zeros where the device has none
    unsigned rx_queues = 1;
    bool up = false;
    bool ethernet = true;            // its frames begin with Ethernet headers
    std::vector<std::string> vlans;  // names of VLAN devices on top of it
    // A master (bridge, bond, team) with another MAC address; macvlan devices, as VRRP makes them.
    std::vector<Station> stations;
    // Of lib/links.h: names of the devices by which the kernel's IP gets its packets, and
    // whether these may be in a VRF or bridge, without and with a VLAN tag.
    std::vector<std::string> receivers;
    bool vrf = false;
    bool vrf_tagged = false;

    // Whether a policy for the one fits the other.
    [[nodiscard]] bool same_place(const Interface& other) const {
        return mtu == other.mtu && mac == other.mac && receivers == other.receivers && vrf == other.vrf &&
               vrf_tagged == other.vrf_tagged;
    }
};

// By rtnetlink. Code `missing` names the interfaces that do exist.
[[nodiscard]] Result<Interface> find_interface(const std::string& name);

// All interfaces but loopback, by index.
[[nodiscard]] Result<std::vector<Interface>> list_interfaces();

// State of one ethtool feature ("rx-vlan-hw-parse", "large-receive-offload" by
// ioctl); false where the driver does not know it.
[[nodiscard]] bool vlan_offload_on(const std::string& name);
[[nodiscard]] bool lro_on(const std::string& name);

}  // namespace synward
