// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/interface.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "lib/descriptor.h"
#include "lib/links.h"
#include "lib/netlink.h"

namespace synward {
namespace {

struct Device {
    Interface interface;
    bool loopback = false;
};

// All of the namespace, and how they hang together.
struct Devices {
    std::vector<Device> all;
    std::vector<Link> links;
};

int read_attribute(const nlattr* attribute, void* data) {
    auto& device = *static_cast<Device*>(data);
    switch (mnl_attr_get_type(attribute)) {
        case IFLA_IFNAME:
            device.interface.name = mnl_attr_get_str(attribute);
            break;
        case IFLA_MTU:
            device.interface.mtu = mnl_attr_get_u32(attribute);
            break;
        case IFLA_NUM_RX_QUEUES:
            device.interface.rx_queues = std::max(1u, mnl_attr_get_u32(attribute));
            break;
        case IFLA_ADDRESS:
            if (mnl_attr_get_payload_len(attribute) == device.interface.mac.size())
                std::memcpy(device.interface.mac.data(), mnl_attr_get_payload(attribute),
                            device.interface.mac.size());
            break;
        default:
            break;
    }
    return MNL_CB_OK;
}

void read_device(const nlmsghdr* message, std::vector<Device>& devices) {
    const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    Device device;
    device.interface.index = header->ifi_index;
    device.interface.up = header->ifi_flags & IFF_UP;
    device.interface.ethernet = header->ifi_type == ARPHRD_ETHER;
    device.loopback = header->ifi_flags & IFF_LOOPBACK;
    mnl_attr_parse(message, sizeof *header, read_attribute, &device);
    devices.push_back(std::move(device));
}

Result<Devices> read_devices() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return tl::unexpected(socket.error());
    Devices devices;
    auto links = read_links(*socket, [&](const nlmsghdr* m) { read_device(m, devices.all); });
    if (!links) return tl::unexpected(links.error());
    devices.links = std::move(*links);
    return devices;
}

// By ioctl on a socket, so that it is about the caller's network namespace,
// which /sys need not be.
int ethtool(const std::string& name, void* request) {
    const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq ifr{};
    name.copy(ifr.ifr_name, IFNAMSIZ - 1);
    ifr.ifr_data = static_cast<char*>(request);
    return ioctl(socket.get(), SIOCETHTOOL, &ifr);
}

// The queues in use; rtnetlink tells those that were allocated.
void refine_queues(Interface& interface) {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (ethtool(interface.name, &channels) == 0 && channels.rx_count + channels.combined_count)
        interface.rx_queues = channels.rx_count + channels.combined_count;
}

// What other devices say of it.
void surround(Interface& interface, const Devices& devices) {
    const auto self = std::ranges::find(devices.links, interface.index, &Link::index);
    const unsigned master = self == devices.links.end() ? 0 : self->master;
    const auto other_mac = [&](const Link& link) {
        return std::ranges::any_of(devices.all, [&](const Device& device) {
            return device.interface.index == link.index && device.interface.mac != interface.mac;
        });
    };
    for (const Link& link : devices.links) {
        const bool above = link.lower == interface.index;
        if (above && link.kind == "vlan") interface.vlans.push_back(link.name);
        const bool virtual_mac = above && (link.kind == "macvlan" || link.kind == "macvtap");
        // A VRF is a master too, but takes no frames.
        const bool enslaves = link.index == master && link.kind != "vrf";
        if ((virtual_mac || enslaves) && other_mac(link))
            interface.stations.push_back({link.name, link.kind});
    }
    const Reach way = reach(devices.links, interface.index);
    for (const Link& receiver : way.receivers) interface.receivers.push_back(receiver.name);
    interface.vrf = way.vrf;
    interface.vrf_tagged = way.vrf_tagged;
}

}  // namespace

Result<Interface> find_interface(const std::string& name) {
    auto devices = read_devices();
    if (!devices) return tl::unexpected(devices.error());
    std::vector<std::string> names;
    const unsigned index = if_nametoindex(name.c_str());  // it may be another of its names
    for (Device& device : devices->all) {
        names.push_back(device.interface.name);
        if (device.interface.index != index) continue;
        surround(device.interface, *devices);
        refine_queues(device.interface);
        return std::move(device.interface);
    }
    return fail(ErrorCode::missing,
                fmt::format("there is no interface '{}' in this network namespace; there are {}", name,
                            fmt::join(names, ", ")));
}

Result<std::vector<Interface>> list_interfaces() {
    auto devices = read_devices();
    if (!devices) return tl::unexpected(devices.error());
    std::vector<Interface> interfaces;
    for (Device& device : devices->all) {
        if (device.loopback) continue;
        surround(device.interface, *devices);
        refine_queues(device.interface);
        interfaces.push_back(std::move(device.interface));
    }
    std::sort(interfaces.begin(), interfaces.end(),
              [](const Interface& a, const Interface& b) { return a.index < b.index; });
    return interfaces;
}

bool lro_on(const std::string& name) {
    ethtool_value value{.cmd = ETHTOOL_GFLAGS};
    return ethtool(name, &value) == 0 && (value.data & ETH_FLAG_LRO);
}

bool vlan_offload_on(const std::string& name) {
    ethtool_value value{.cmd = ETHTOOL_GFLAGS};
    return ethtool(name, &value) == 0 && (value.data & ETH_FLAG_RXVLAN);
}

}  // namespace synward
