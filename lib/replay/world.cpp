// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/replay/world.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "lib/netlink.h"

namespace synward::replay {
namespace {

constexpr unsigned loopback = 1;  // its index, in every namespace

Result<void> set_up_loopback() {
    const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    request.ifr_name[0] = 'l';
    request.ifr_name[1] = 'o';
    request.ifr_flags = IFF_UP;
    if (ioctl(socket.get(), SIOCSIFFLAGS, &request)) return fail_errno(errno, "cannot set up lo");
    return {};
}

// ip route add local default dev lo
Result<void> make_all_local(NetlinkSocket& socket, std::uint8_t family) {
    std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = RTM_NEWROUTE;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_ACK;
    auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    route->rtm_family = family;
    route->rtm_table = RT_TABLE_LOCAL;
    route->rtm_type = RTN_LOCAL;
    route->rtm_scope = RT_SCOPE_HOST;
    route->rtm_protocol = RTPROT_STATIC;
    mnl_attr_put_u32(message, RTA_OIF, loopback);
    const auto answer = socket.ask({buffer.data(), message->nlmsg_len});
    if (answer.error) return fail_answer(answer, "cannot make every address local");
    return {};
}

}  // namespace

Result<World> World::enter() {
    if (unshare(CLONE_NEWNET)) return fail_errno(errno, "cannot make a network namespace for the replay");
    if (auto done = set_up_loopback(); !done) return tl::unexpected(done.error());
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return tl::unexpected(socket.error());
    if (auto done = make_all_local(*socket, AF_INET); !done) return tl::unexpected(done.error());
    // A kernel without IPv6 has no such packets either.
    (void)make_all_local(*socket, AF_INET6);
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    return World();
}

Result<void> World::listen(std::uint16_t port) {
    if (listeners_.contains(port)) return {};
    Descriptor socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    socklen_t length = sizeof(sockaddr_in6);
    if (socket) {
        auto* six = reinterpret_cast<sockaddr_in6*>(&address);
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        const int no = 0;
        setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    } else {
        socket = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto* four = reinterpret_cast<sockaddr_in*>(&address);
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        length = sizeof(sockaddr_in);
    }
    if (!socket || bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) ||
        ::listen(socket.get(), 4096))
        return fail_errno(errno, fmt::format("cannot listen on port {} for the replay", port));
    listeners_.emplace(port, std::move(socket));
    return {};
}

}  // namespace synward::replay
