// SPDX-License-Identifier: GPL-2.0-or-later
#include "link.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <vector>

namespace synward::bench {
namespace {

using Handler = std::function<void(const nlmsghdr*)>;

int call_handler(const nlmsghdr* message, void* handler) {
    (*static_cast<const Handler*>(handler))(message);
    return MNL_CB_OK;
}

void request(nlmsghdr* message, const Handler& handler) {
    const std::unique_ptr<mnl_socket, int (*)(mnl_socket*)> socket(mnl_socket_open(NETLINK_ROUTE),
                                                                   mnl_socket_close);
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0)
        throw std::runtime_error(fmt::format("rtnetlink: {}", strerror(errno)));
    std::vector<char> buffer(1 << 16);
    const unsigned port = mnl_socket_get_portid(socket.get());
    for (int more = 1; more > 0;) {
        const auto size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
        if (size < 0) throw std::runtime_error(fmt::format("rtnetlink: {}", strerror(errno)));
        more = mnl_cb_run(buffer.data(), static_cast<size_t>(size), message->nlmsg_seq, port, call_handler,
                          const_cast<Handler*>(&handler));
        if (more < 0) throw std::runtime_error(fmt::format("rtnetlink refused: {}", strerror(errno)));
    }
}

nlmsghdr* new_message(char* buffer, uint16_t type, uint16_t flags) {
    nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    message->nlmsg_seq = 1;
    return message;
}

void read_attributes(const nlmsghdr* message, size_t header,
                     const std::function<void(const nlattr*)>& handler) {
    // mnl_attr_for_each() does not compile as C++
    const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, header));
    while (mnl_attr_ok(attribute,
                       static_cast<int>(static_cast<const char*>(mnl_nlmsg_get_payload_tail(message)) -
                                        reinterpret_cast<const char*>(attribute)))) {
        handler(attribute);
        attribute = mnl_attr_next(attribute);
    }
}

Address to_address(const nlattr* attribute) {
    Address address;
    address.family = mnl_attr_get_payload_len(attribute) == 4 ? SW_IPV4 : SW_IPV6;
    memcpy(address.bytes.data(), mnl_attr_get_payload(attribute), size_of(address));
    return address;
}

uint8_t family_of(const Address& address) {
    return address.family == SW_IPV4 ? AF_INET : AF_INET6;
}

std::optional<Mac> known_neighbour(unsigned interface, const Address& address) {
    char buffer[256];
    nlmsghdr* message = new_message(buffer, RTM_GETNEIGH, NLM_F_DUMP);
    auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
    header->ndm_family = family_of(address);
    std::optional<Mac> found;
    request(message, [&](const nlmsghdr* answer) {
        const auto* entry = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(answer));
        if (entry->ndm_ifindex != static_cast<int>(interface)) return;
        if (entry->ndm_state & (NUD_INCOMPLETE | NUD_FAILED)) return;
        bool same = false;
        std::optional<Mac> mac;
        read_attributes(answer, sizeof(ndmsg), [&](const nlattr* attribute) {
            if (mnl_attr_get_type(attribute) == NDA_DST) same = to_address(attribute) == address;
            if (mnl_attr_get_type(attribute) == NDA_LLADDR && mnl_attr_get_payload_len(attribute) == 6) {
                mac.emplace();
                memcpy(mac->data(), mnl_attr_get_payload(attribute), 6);
            }
        });
        if (same && mac) found = mac;
    });
    return found;
}

// A datagram to the discard port makes the kernel look for the neighbour.
void provoke(const Address& address) {
    const int fd = socket(family_of(address), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return;
    if (address.family == SW_IPV4) {
        sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(9)};
        memcpy(&to.sin_addr, address.bytes.data(), 4);
        (void)sendto(fd, "", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    } else {
        sockaddr_in6 to{.sin6_family = AF_INET6, .sin6_port = htons(9)};
        memcpy(&to.sin6_addr, address.bytes.data(), 16);
        (void)sendto(fd, "", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
    }
    close(fd);
}

}  // namespace

Link read_link(const std::string& name) {
    Link link;
    link.name = name;
    link.index = if_nametoindex(name.c_str());
    if (link.index == 0)
        throw std::runtime_error(fmt::format("no interface {} in this network namespace", name));
    char buffer[256];
    nlmsghdr* message = new_message(buffer, RTM_GETLINK, NLM_F_ACK);
    auto* header = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
    header->ifi_index = static_cast<int>(link.index);
    request(message, [&](const nlmsghdr* answer) {
        read_attributes(answer, sizeof(ifinfomsg), [&](const nlattr* attribute) {
            const size_t size = mnl_attr_get_payload_len(attribute);
            if (mnl_attr_get_type(attribute) == IFLA_ADDRESS && size == 6)
                memcpy(link.mac.data(), mnl_attr_get_payload(attribute), 6);
            if (mnl_attr_get_type(attribute) == IFLA_STATS64) {
                rtnl_link_stats64 stats{};
                memcpy(&stats, mnl_attr_get_payload(attribute), std::min(size, sizeof(stats)));
                link.rx_packets = stats.rx_packets;
                link.tx_packets = stats.tx_packets;
                link.tx_dropped = stats.tx_dropped;
            }
        });
    });
    return link;
}

NextHop route_to(const Address& destination) {
    char buffer[256];
    nlmsghdr* message = new_message(buffer, RTM_GETROUTE, NLM_F_ACK);
    auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    header->rtm_family = family_of(destination);
    header->rtm_dst_len = static_cast<uint8_t>(destination.bits());
    mnl_attr_put(message, RTA_DST, size_of(destination), destination.bytes.data());
    NextHop hop{0, destination};
    try {
        request(message, [&](const nlmsghdr* answer) {
            read_attributes(answer, sizeof(rtmsg), [&](const nlattr* attribute) {
                if (mnl_attr_get_type(attribute) == RTA_OIF) hop.interface = mnl_attr_get_u32(attribute);
                if (mnl_attr_get_type(attribute) == RTA_GATEWAY) hop.address = to_address(attribute);
            });
        });
    } catch (const std::runtime_error& error) {
        throw std::runtime_error(fmt::format("no route to {} ({})", destination.to_string(), error.what()));
    }
    return hop;
}

Mac resolve(const Link& link, const Address& destination) {
    const NextHop hop = route_to(destination);
    if (hop.interface != link.index)
        throw std::runtime_error(
            fmt::format("the route to {} does not leave by {}; name the station with --to-mac",
                        destination.to_string(), link.name));
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    provoke(destination);
    while (std::chrono::steady_clock::now() < deadline) {
        if (const auto mac = known_neighbour(link.index, hop.address)) return *mac;
        poll(nullptr, 0, 10);
    }
    throw std::runtime_error(fmt::format("no neighbour answers for {} on {}; name the station with --to-mac",
                                         hop.address.to_string(), link.name));
}

}  // namespace synward::bench
