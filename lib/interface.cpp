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
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "lib/descriptor.h"
#include "lib/netlink.h"

namespace synward {
namespace {

struct Link {
    Interface interface;
    bool loopback = false;
    std::string kind;
    unsigned lower = 0;   // index of the device below
    unsigned master = 0;  // index of the bridge, bond, VRF it belongs to
    bool moved = false;   // `lower` is of another network namespace
};

int read_kind(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND)
        *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

int read_attribute(const nlattr* attribute, void* data) {
    auto& link = *static_cast<Link*>(data);
    switch (mnl_attr_get_type(attribute)) {
        case IFLA_IFNAME:
            link.interface.name = mnl_attr_get_str(attribute);
            break;
        case IFLA_MTU:
            link.interface.mtu = mnl_attr_get_u32(attribute);
            break;
        case IFLA_NUM_RX_QUEUES:
            link.interface.rx_queues = std::max(1u, mnl_attr_get_u32(attribute));
            break;
        case IFLA_LINK:
            link.lower = mnl_attr_get_u32(attribute);
            break;
        case IFLA_LINK_NETNSID:
            link.moved = true;
            break;
        case IFLA_MASTER:
            link.master = mnl_attr_get_u32(attribute);
            break;
        case IFLA_ADDRESS:
            if (mnl_attr_get_payload_len(attribute) == link.interface.mac.size())
                std::memcpy(link.interface.mac.data(), mnl_attr_get_payload(attribute),
                            link.interface.mac.size());
            break;
        case IFLA_LINKINFO:
            mnl_attr_parse_nested(attribute, read_kind, &link.kind);
            break;
        default:
            break;
    }
    return MNL_CB_OK;
}

int read_link(const nlmsghdr* message, void* data) {
    const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    Link link;
    link.interface.index = header->ifi_index;
    link.interface.up = header->ifi_flags & IFF_UP;
    link.loopback = header->ifi_flags & IFF_LOOPBACK;
    mnl_attr_parse(message, sizeof *header, read_attribute, &link);
    static_cast<std::vector<Link>*>(data)->push_back(std::move(link));
    return MNL_CB_OK;
}

Result<std::vector<Link>> dump_links() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return tl::unexpected(socket.error());
    std::array<char, 64> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)))->ifi_family = AF_UNSPEC;
    std::vector<Link> links;
    const auto answer =
        socket->ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* m) { read_link(m, &links); });
    if (answer.error) return fail_answer(answer, "cannot list the interfaces by rtnetlink");
    return links;
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

void look_around(Link& of, const std::vector<Link>& links) {
    Interface& interface = of.interface;
    for (const Link& link : links) {
        const bool above = link.lower == interface.index && !link.moved;
        if (above && link.kind == "vlan") interface.vlans.push_back(link.interface.name);
        const bool virtual_mac = above && (link.kind == "macvlan" || link.kind == "macvtap");
        // A VRF is a master too, but takes no frames.
        const bool master = link.interface.index == of.master && link.kind != "vrf";
        if ((virtual_mac || master) && link.interface.mac != interface.mac)
            interface.stations.push_back({link.interface.name, link.kind});
    }
}

}  // namespace

Result<Interface> find_interface(const std::string& name) {
    auto links = dump_links();
    if (!links) return tl::unexpected(links.error());
    std::vector<std::string> names;
    for (Link& link : *links) {
        names.push_back(link.interface.name);
        if (link.interface.name != name) continue;
        look_around(link, *links);
        refine_queues(link.interface);
        return std::move(link.interface);
    }
    return fail(ErrorCode::missing,
                fmt::format("there is no interface '{}' in this network namespace; there are {}", name,
                            fmt::join(names, ", ")));
}

Result<std::vector<Interface>> list_interfaces() {
    auto links = dump_links();
    if (!links) return tl::unexpected(links.error());
    std::vector<Interface> interfaces;
    for (Link& link : *links) {
        if (link.loopback) continue;
        look_around(link, *links);
        refine_queues(link.interface);
        interfaces.push_back(link.interface);
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
