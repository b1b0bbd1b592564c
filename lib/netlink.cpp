// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/netlink.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <cerrno>

namespace synward {
namespace {

// More than any datagram of a dump (the kernel makes them of at most 32 KiB).
constexpr std::size_t buffer_bytes = 65536;

// The kernel's words are attributes behind the refused message, or behind its
// header alone where NLM_F_CAPPED says so.
void take_extended(const nlmsghdr* message, NetlinkAnswer& answer) {
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
    if (!(message->nlmsg_flags & NLM_F_ACK_TLVS)) return;
    std::size_t offset = sizeof(nlmsgerr);
    if (!(message->nlmsg_flags & NLM_F_CAPPED)) {
        if (error->msg.nlmsg_len < sizeof(nlmsghdr)) return;
        offset += MNL_ALIGN(error->msg.nlmsg_len - sizeof(nlmsghdr));
    }
    if (offset > mnl_nlmsg_get_payload_len(message)) return;
    mnl_attr_parse(
        message, static_cast<unsigned>(offset),
        [](const nlattr* attribute, void* data) {
            auto& taken = *static_cast<NetlinkAnswer*>(data);
            if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
                mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
                taken.text = mnl_attr_get_str(attribute);
            if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_OFFS &&
                mnl_attr_validate(attribute, MNL_TYPE_U32) >= 0)
                taken.offset = mnl_attr_get_u32(attribute);
            return MNL_CB_OK;
        },
        &answer);
}

void take_error(const nlmsghdr* message, NetlinkAnswer& answer) {
    if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) return;
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
    if (error->error >= 0 || answer.error) return;
    answer.error = -error->error;
    answer.sequence = message->nlmsg_seq;
    take_extended(message, answer);
}

}  // namespace

NetlinkSocket::NetlinkSocket(Descriptor fd) : fd_(std::move(fd)), buffer_(buffer_bytes) {}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    if (!fd) return fail_errno(errno, "cannot open a netlink socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address))
        return fail_errno(errno, "cannot bind a netlink socket");
    const int on = 1;
    (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    return NetlinkSocket(std::move(fd));
}

NetlinkAnswer NetlinkSocket::ask(std::span<const char> messages, const Handler& handler) {
    NetlinkAnswer answer;
    if (send(fd_.get(), messages.data(), messages.size(), 0) < 0) {
        answer.error = errno;
        return answer;
    }
    // The kernel has worked through the request when send() returns, and makes
    // the next part of a dump while one is read: nothing to read is the end.
    while (read(handler, answer)) {
    }
    return answer;
}

bool NetlinkSocket::read(const Handler& handler, NetlinkAnswer& answer) {
    const ssize_t got = recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0) {
        if (errno == EINTR) return true;
        if (errno != EAGAIN && !answer.error) answer.error = errno;
        return false;
    }
    if (static_cast<std::size_t>(got) > buffer_.size()) {
        answer.error = EMSGSIZE;
        return true;
    }
    int rest = static_cast<int>(got);
    const auto* message = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
        if (message->nlmsg_flags & NLM_F_DUMP_INTR && !answer.error) answer.error = EINTR;
        if (message->nlmsg_type == NLMSG_ERROR)
            take_error(message, answer);
        else if (message->nlmsg_type >= NLMSG_MIN_TYPE && handler)
            handler(message);
    }
    return true;
}

tl::unexpected<Error> fail_answer(const NetlinkAnswer& answer, std::string_view what) {
    if (answer.text.empty()) return fail_errno(answer.error, what);
    return fail_errno(answer.error, fmt::format("{} (\"{}\")", what, answer.text));
}

}  // namespace synward
