// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/local_addresses.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "lib/netlink.h"
#include "lib/netlink_attributes.h"

namespace synward {
namespace {

const Prefix loopback4{{SW_IPV4, {127}}, 8};
const Prefix loopback6{{SW_IPV6, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128};
constexpr unsigned most_readings = 8;
const Prefix link_local{{SW_IPV6, {0xfe, 0x80}}, 10};

Result<void> read_routes(NetlinkSocket& socket, int family, std::vector<LocalRoute>& routes) {
    std::array<char, 64> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETROUTE;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* wanted = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
    wanted->rtm_family = static_cast<unsigned char>(family);
    // A router's million of others stays in the kernel.
    wanted->rtm_type = RTN_LOCAL;
    const std::size_t before = routes.size();
    NetlinkAnswer answer;
    // What changed while it was read is read again.
    for (unsigned i = 0; i == 0 || (answer.error == EINTR && i < most_readings); i++) {
        routes.resize(before);
        answer = socket.ask({buffer.data(), request->nlmsg_len},
                            [&](const nlmsghdr* m) { take_route(m, routes); });
    }
    // The family, or a table of its own for a VRF, may not exist.
    if (answer.error && answer.error != EAFNOSUPPORT && answer.error != EOPNOTSUPP)
        return fail_answer(answer, "cannot list the local addresses by rtnetlink");
    return {};
}

}  // namespace

void take_route(const nlmsghdr* message, std::vector<LocalRoute>& routes) {
    if (message->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(message) < sizeof(rtmsg)) return;
    const auto* header = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    if (header->rtm_type != RTN_LOCAL || header->rtm_flags & RTM_F_CLONED) return;
    if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return;
    Attributes<RTA_MAX> found;
    mnl_attr_parse(message, sizeof *header, Attributes<RTA_MAX>::take, &found);
    LocalRoute route{.table = found.number<std::uint32_t>(RTA_TABLE),
                     .device = found.number<std::uint32_t>(RTA_OIF)};
    if (!route.table) route.table = header->rtm_table;
    route.prefix.address.family = header->rtm_family == AF_INET ? SW_IPV4 : SW_IPV6;
    route.prefix.length = header->rtm_dst_len;
    const std::size_t bytes = route.prefix.address.bits() / 8;
    if (route.prefix.length > bytes * 8) return;
    if (const void* address = found.bytes(RTA_DST, bytes))
        std::memcpy(route.prefix.address.bytes.data(), address, bytes);
    else if (route.prefix.length)
        return;
    routes.push_back(route);
}

Result<LocalNetwork> read_local_network() {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return tl::unexpected(socket.error());
    // Without it the kernel does not look at what of a dump is wanted.
    const int on = 1;
    (void)setsockopt(socket->fd(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    LocalNetwork network;
    auto links = read_links(*socket);
    if (!links) return tl::unexpected(links.error());
    network.links = std::move(*links);
    for (const int family : {AF_INET, AF_INET6})
        if (auto done = read_routes(*socket, family, network.routes); !done)
            return tl::unexpected(done.error());
    return network;
}

bool LocalAddresses::contains(const Address& address) const {
    return std::ranges::any_of(prefixes, [&](const Prefix& prefix) { return prefix.contains(address); });
}

LocalAddresses local_addresses(const LocalNetwork& network, const std::string& interface) {
    LocalAddresses local;
    const auto link = std::ranges::find(network.links, interface, &Link::name);
    if (link == network.links.end()) return local;
    local.index = link->index;
    const Reach way = reach(network.links, link->index);
    std::ranges::remove_copy(way.devices, std::back_inserter(local.beyond), link->index);
    std::set<std::uint32_t> tables;
    for (const Link& receiver : way.receivers) {
        if (receiver.kind == "vrf")
            tables.insert(receiver.table);
        else if (!receiver.master)
            tables.insert({RT_TABLE_LOCAL, RT_TABLE_MAIN});
    }
    const auto passes = [&](unsigned device) {
        return std::ranges::find(way.devices, device) != way.devices.end();
    };
    for (const LocalRoute& route : network.routes) {
        const Address& first = route.prefix.address;
        if (!tables.contains(route.table) || loopback4.contains(first) || loopback6.contains(first)) continue;
        if (link_local.contains(first) && !passes(route.device)) continue;
        local.prefixes.push_back(route.prefix);
    }
    std::ranges::sort(local.prefixes);
    const auto twice = std::ranges::unique(local.prefixes);
    local.prefixes.erase(twice.begin(), twice.end());
    return local;
}

}  // namespace synward
