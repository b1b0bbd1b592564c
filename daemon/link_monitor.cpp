// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/link_monitor.h"

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <set>
#include <vector>

namespace synward {
namespace {

int read_name(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == IFLA_IFNAME && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
        *static_cast<std::string*>(data) = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

int read_message(const nlmsghdr* message, void* data) {
    if (message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) return MNL_CB_OK;
    std::string name;
    mnl_attr_parse(message, sizeof(ifinfomsg), read_name, &name);
    if (!name.empty()) static_cast<std::set<std::string>*>(data)->insert(name);
    return MNL_CB_OK;
}

// Everything that waits, each interface once.
std::set<std::string> drain(mnl_socket* socket) {
    // Links of many queues are larger than a page.
    std::vector<char> buffer(65536);
    std::set<std::string> names;
    for (;;) {
        const ssize_t length = recv(mnl_socket_get_fd(socket), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (length > 0)
            mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), 0, 0, read_message, &names);
        else if (length < 0 && errno == ENOBUFS)
            names.insert(std::string());
        else if (length < 0 && errno == EINTR)
            continue;
        else
            return names;
    }
}

}  // namespace

void LinkMonitor::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

Result<LinkMonitor> LinkMonitor::create(EventLoop& loop, Changed changed) {
    Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!socket || mnl_socket_bind(socket.get(), RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0)
        return fail_errno(errno, "cannot listen to rtnetlink for changes of interfaces");
    auto watch = loop.watch(mnl_socket_get_fd(socket.get()), EPOLLIN,
                            [raw = socket.get(), changed = std::move(changed)](std::uint32_t) {
                                for (const std::string& name : drain(raw)) changed(name);
                            });
    if (!watch) return tl::unexpected(watch.error());
    return LinkMonitor(loop, std::move(socket), *watch);
}

LinkMonitor::~LinkMonitor() {
    if (watch_) loop_->forget(watch_);
}

}  // namespace synward
