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
#include <string_view>

#include "lib/listeners.h"
#include "lib/netlink.h"

namespace synward {
namespace {

constexpr unsigned tcp_listen = 10;  // include/net/tcp_states.h

struct Traits {
    bool only_six = false;
    bool mptcp = false;
};

// Of an MPTCP socket, what listens is a TCP socket with this upper layer protocol.
int read_upper_layer(const nlattr* attribute, void* data) {
    constexpr std::string_view mptcp = "mptcp";
    if (mnl_attr_get_type(attribute) != INET_ULP_INFO_NAME) return MNL_CB_OK;
    const std::string_view name(static_cast<const char*>(mnl_attr_get_payload(attribute)),
                                mnl_attr_get_payload_len(attribute));
    static_cast<Traits*>(data)->mptcp = name.substr(0, name.find('\0')) == mptcp;
    return MNL_CB_OK;
}

int read_traits(const nlattr* attribute, void* data) {
    auto* traits = static_cast<Traits*>(data);
    if (mnl_attr_get_type(attribute) == INET_DIAG_SKV6ONLY && mnl_attr_get_payload_len(attribute) >= 1)
        traits->only_six = mnl_attr_get_u8(attribute) != 0;
    if (mnl_attr_get_type(attribute) == INET_DIAG_ULP_INFO)
        mnl_attr_parse_nested(attribute, read_upper_layer, data);
    return MNL_CB_OK;
}

void take_listener(const nlmsghdr* message, std::vector<Listener>& listeners) {
    if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        mnl_nlmsg_get_payload_len(message) < sizeof(inet_diag_msg))
        return;
    inet_diag_msg diag;
    std::memcpy(&diag, mnl_nlmsg_get_payload(message), sizeof diag);
    if (diag.idiag_state != tcp_listen) return;
    Traits traits;
    mnl_attr_parse(message, sizeof diag, read_traits, &traits);
    Listener listener{.address = {},
                      .port = ntohs(diag.id.idiag_sport),
                      .interface = diag.id.idiag_if,
                      .mptcp = traits.mptcp};
    if (diag.idiag_family == AF_INET) {
        std::memcpy(listener.address.bytes.data(), diag.id.idiag_src, 4);
        listeners.push_back(listener);
        return;
    }
    std::uint8_t bytes[16];
    std::memcpy(bytes, diag.id.idiag_src, sizeof bytes);
    listener.address = Address::from_mapped(bytes);
    listeners.push_back(listener);
    const bool every = std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
    if (every && !traits.only_six) {
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
        // Without it the kernel tells no upper layer protocol.
        wanted->idiag_ext = 1u << (INET_DIAG_INFO - 1);
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
