// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/links.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "lib/netlink.h"
#include "lib/netlink_attributes.h"

namespace synward {
namespace {

std::string text(const nlattr* attribute) {
    return attribute && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0 ? mnl_attr_get_str(attribute)
                                                                               : "";
}

// Of the tunnels, whose IFLA_LINK is a device below too, what comes out is not TCP here.
bool on_top(const Link& link) {
    return link.kind == "vlan" || link.kind == "macvlan" || link.kind == "ipvlan";
}

struct Step {
    const Link* link;
    bool tagged;  // reached by way of a VLAN device
};

}  // namespace

void take_link(const nlmsghdr* message, std::vector<Link>& links) {
    if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) return;
    const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    Attributes<IFLA_MAX> found;
    mnl_attr_parse(message, sizeof *header, Attributes<IFLA_MAX>::take, &found);
    const auto info = nested<IFLA_INFO_MAX>(found.of[IFLA_LINKINFO]);
    Link link{.index = static_cast<unsigned>(header->ifi_index),
              .name = text(found.of[IFLA_IFNAME]),
              .kind = text(info.of[IFLA_INFO_KIND]),
              .master = found.number<std::uint32_t>(IFLA_MASTER),
              .lower = found.number<std::uint32_t>(IFLA_LINK)};
    // The index is one of another namespace, and may be one of ours by chance.
    if (found.of[IFLA_LINK_NETNSID]) link.lower = 0;
    if (link.kind == "vrf")
        link.table = nested<IFLA_VRF_MAX>(info.of[IFLA_INFO_DATA]).number<std::uint32_t>(IFLA_VRF_TABLE);
    links.push_back(std::move(link));
}

Result<std::vector<Link>> read_links(NetlinkSocket& socket,
                                     const std::function<void(const nlmsghdr*)>& each) {
    std::array<char, 64> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETLINK;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)))->ifi_family = AF_UNSPEC;
    std::vector<Link> links;
    const auto answer = socket.ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* m) {
        take_link(m, links);
        if (each) each(m);
    });
    if (answer.error) return fail_answer(answer, "cannot list the interfaces by rtnetlink");
    return links;
}

Reach reach(const std::vector<Link>& links, unsigned interface) {
    const auto at = [&](unsigned index) -> const Link* {
        const auto found = std::ranges::find(links, index, &Link::index);
        return index && found != links.end() ? &*found : nullptr;
    };
    std::vector<Step> steps;
    const auto go = [&](const Link* link, bool tagged) {
        if (!link) return;
        const auto same = [&](const Step& s) { return s.link == link && s.tagged == tagged; };
        if (std::ranges::none_of(steps, same)) steps.push_back({link, tagged});
    };
    go(at(interface), false);
    Reach result;
    for (std::size_t i = 0; i < steps.size(); i++) {
        const auto [link, tagged] = steps[i];
        const Link* master = at(link->master);
        go(master, tagged);
        for (const Link& other : links)
            if (on_top(other) && other.lower == link->index) go(&other, tagged || other.kind == "vlan");
        // A bridge has no say in tags before the VLANs on top of it have.
        const bool bridge = link->kind == "bridge";
        result.vrf = result.vrf || (!tagged && (bridge || link->kind == "vrf"));
        result.vrf_tagged = result.vrf_tagged || bridge || (tagged && link->kind == "vrf");
        if (std::ranges::find(result.devices, link->index) != result.devices.end()) continue;
        result.devices.push_back(link->index);
        if (!master || master->kind == "vrf") result.receivers.push_back(*link);
    }
    return result;
}

}  // namespace synward
