// SPDX-License-Identifier: GPL-2.0-or-later
// What the kernel says of listeners, for lib/listeners.h.
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/listeners.h"
#include "lib/netlink.h"

namespace synward {
namespace {

constexpr unsigned tcp_listen = 10;  // include/net/tcp_states.h

int read_only_six(const nlattr* attribute, void* data) {
    if (mnl_attr_get_type(attribute) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attribute) >= 1)
        *static_cast<bool*>(data) = mnl_attr_get_u8(attribute) != 0;
    return MNL_CB_OK;
}

void take_listener(const nlmsghdr* message, std::vector<Listener>& listeners) {
    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg))
        return;
    inet_diag_msg diag;
    std::memcpy(&diag, mnl_nlmsg_get_payload(message), sizeof diag);
    if (diag.idiag_state != tcp_listen) return;
    Listener listener{.address = {}, .port = ntohs(diag.id.idiag_sport), .interface = diag.id.idiag_if};
    if (diag.idiag_family == AF_INET) {
        std::memcpy(listener.address.bytes.data(), diag.id.idiag_src, 4);
        listeners.push_back(listener);
        return;
    }
    bool only_six = false;
    mnl_attr_parse(message, sizeof diag, read_only_six, &only_six);
    std::uint8_t bytes[16];
    std::memcpy(bytes, diag.id.idiag_src, sizeof bytes);
    listener.address = Address::from_mapped(bytes);
    listeners.push_back(listener);
    const bool every = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
    if (every && !only_six) {
        listener.address = {};
        listeners.push_back(listener);
    }
}

}  // namespace

Result<std::vector<Listener>> read_listeners() {
    auto socket = NetlinkSocket::open(NETLINK_SOCK_DIAG);
    if (!socket) return tl::unexpected(socket.error());
    std::vector<Listener> listeners;
    for (const int family : {AF_INET, AF_INET6}) {
        std::array<char, 128> buffer{};
        nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
        request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        auto* wanted =
            static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
        wanted->sdiag_family = static_cast<__u8>(family);
        wanted->sdiag_protocol = IPPROTO_TCP;
        wanted->idiag_states = 1u << tcp_listen;
        const auto answer = socket->ask({buffer.data(), request->nlmsg_len},
                                        [&](const nlmsghdr* m) { take_listener(m, listeners); });
        // A kernel without IPv6 has no such sockets.
        if (answer.error && !(family == AF_INET6 && answer.error == ENOENT))
            return fail_answer(answer, "cannot list the listening sockets by sock_diag");
    }
    std::ranges::sort(listeners);
    const auto twice = std::ranges::unique(listeners);
    listeners.erase(twice.begin(), twice.end());
    return listeners;
}

}  // namespace synward
