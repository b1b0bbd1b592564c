// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/link_monitor.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <set>
#include <utility>
#include <vector>

namespace synward {
namespace {

int read_name(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == IFLA_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
        *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

struct News {
    std::set<std::string> links;  // names; an empty one: something was lost
    bool any = false;
};

int read_message(const nlmsghdr* message, void* data) {
    auto& news = *static_cast<News*>(data);
    news.any = true;
    if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return MNL_CB_OK;
    std::string name;
    mnl_attr_parse(message, sizeof(ifinfomsg), read_name, &name);
    if (!name.empty()) news.links.insert(name);
    return MNL_CB_OK;
}

// Everything that waits, each interface once.
News drain(mnl_socket* socket) {
    // Links of many queues are larger than a page.
    std::vector<char> buffer(65536);
    News news;
    for (;;) {
        const ssize_t length = recv(mnl_socket_get_fd(socket), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (length > 0) {
            mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0, 0, read_message, &news);
        } else if (length < 0 && errno == ENOBUFS) {
            news.links.insert(std::string());
            news.any = true;
        } else if (length >= 0 || errno != EINTR) {
            return news;
        }
    }
}

// A router's thousands of routes a second shall not even wake us: of routes, only those
// of type `local` come through.
bool leave_out_routes(int socket) {
    constexpr unsigned type = offsetof(nlmsghdr, nlmsg_type);
    constexpr unsigned route_type = NLMSG_HDRLEN + offsetof(rtmsg, rtm_type);
    // The filter loads in network byte order what netlink has in the host's.
    std::array<sock_filter, 7> code{{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, type),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, route_type),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RTN_LOCAL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, ~0u),
        BPF_STMT(BPF_RET | BPF_K, 0),
    }};
    const sock_fprog program{.len = code.size(), .filter = code.data()};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

}  // namespace

void LinkMonitor::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

Result<std::unique_ptr<LinkMonitor>> LinkMonitor::create(EventLoop& loop, Changed changed, Settled settled) {
    constexpr unsigned groups =
        RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket || !leave_out_routes(mnl_socket_get_fd(socket.get())) ||
        mnl_socket_bind(socket.get(), groups, MNL_SOCKET_AUTOPID) < 0)
        return fail_errno(errno, "cannot listen to rtnetlink for changes of interfaces");
    std::unique_ptr<LinkMonitor> made(new LinkMonitor(loop, std::move(socket), std::move(changed)));
    auto timer = Timer::create(loop, [monitor = made.get(), settled = std::move(settled)] {
        monitor->timer_->every(std::chrono::milliseconds(0));
        monitor->waits_ = false;
        settled();
    });
    if (!timer) return tl::unexpected(timer.error());
    made->timer_.emplace(std::move(*timer));
    auto watch = loop.watch(mnl_socket_get_fd(made->socket_.get()), EPOLLIN,
                            [monitor = made.get()](std::uint32_t) { monitor->read(); });
    if (!watch) return tl::unexpected(watch.error());
    made->watch_ = *watch;
    return made;
}

void LinkMonitor::read() {
    const News news = drain(socket_.get());
    if (news.any && !std::exchange(waits_, true)) timer_->every(calm);
    for (const std::string& name : news.links) changed_(name);
}

LinkMonitor::~LinkMonitor() {
    if (watch_) loop_.forget(watch_);
}

}  // namespace synward
