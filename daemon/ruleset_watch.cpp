// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/ruleset_watch.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace synward {
namespace {

struct Author {
    std::uint32_t pid = 0;
    std::string name;
};

int read_author(const nlattr* attribute, void* data) {
    auto& author = *static_cast<Author*>(data);
    if (mnl_attr_get_type(attribute) == NFTA_GEN_PROC_PID && mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
        author.pid = ntohl(mnl_attr_get_u32(attribute));
    else if (mnl_attr_get_type(attribute) == NFTA_GEN_PROC_NAME &&
             mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
        author.name = mnl_attr_get_str(attribute);
    return MNL_CB_OK;
}

}  // namespace

Result<std::unique_ptr<RulesetWatch>> RulesetWatch::create(EventLoop& loop, Changed changed) {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTABLES;
    if (!fd || bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) ||
        setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group))
        return fail_errno(errno, "cannot watch the ruleset of nftables");
    std::unique_ptr<RulesetWatch> made(new RulesetWatch(loop, std::move(fd), std::move(changed)));
    auto watch = loop.watch(made->fd_.get(), EPOLLIN, [self = made.get()](std::uint32_t) { self->drain(); });
    if (!watch) return tl::unexpected(watch.error());
    made->watch_ = *watch;
    return made;
}

RulesetWatch::~RulesetWatch() {
    if (watch_) loop_.forget(watch_);
}

void RulesetWatch::take(const nlmsghdr* message) {
    // Each transaction ends with one that names its author.
    if (message->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN)) return;
    Author author;
    mnl_attr_parse(message, sizeof(nfgenmsg), read_author, &author);
    if (!author.name.empty()) who_ = fmt::format("{} (pid {})", author.name, author.pid);
}

void RulesetWatch::drain() {
    bool something = false;
    who_.clear();
    // Not for ever: a ruleset can change as fast as we read.
    for (int i = 0; i < 256; i++) {
        const ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_TRUNC);
        if (got < 0 && errno == EINTR) continue;
        // ENOBUFS: more changes than the socket holds; that there were some is all we ask.
        if (got < 0 && errno != ENOBUFS) break;
        something = true;
        if (got < 0 || static_cast<std::size_t>(got) > buffer_.size()) continue;
        int rest = static_cast<int>(got);
        const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
        for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) take(message);
    }
    if (something) changed_(who_);
}

}  // namespace synward
