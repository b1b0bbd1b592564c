// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/tc_filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/abi/maps.h"
#include "lib/loader.h"
#include "lib/maps.h"
#include "lib/netlink.h"

namespace synward {
namespace {

// Our place among the filters of the hook: early, so that nobody redirects
// before us; the handle tells ours from a stranger's at the same priority.
constexpr std::uint32_t our_priority = 2;
constexpr std::uint32_t our_handle = 0x5359;

bpf_tc_hook ingress(const Interface& interface) {
    LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(interface.index),
                .attach_point = BPF_TC_INGRESS);
    return hook;
}

enum class Place { free, ours, foreign };

Result<Place> look(const Interface& interface) {
    const bpf_tc_hook hook = ingress(interface);
    LIBBPF_OPTS(bpf_tc_opts, options, .handle = our_handle, .priority = our_priority);
    const int error = bpf_tc_query(&hook, &options);
    // No clsact, or no filter: which errno depends on the kernel.
    if (error == -ENOENT || error == -EINVAL) return Place::free;
    if (error) return fail_errno(-error, fmt::format("cannot ask {} for its tc filters", interface.name));
    auto program = open_program(options.prog_id);
    if (!program) return tl::unexpected(program.error());
    const auto info = program_info(program->get());
    if (!info) return tl::unexpected(info.error());
    return std::string_view(info->name) == SW_PROGRAM_TC ? Place::ours : Place::foreign;
}

Result<int> count_filters(const Interface& interface, std::uint32_t parent) {
    auto socket = NetlinkSocket::open(NETLINK_ROUTE);
    if (!socket) return tl::unexpected(socket.error());
    std::array<char, 64> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETTFILTER;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* header = static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(tcmsg)));
    header->tcm_family = AF_UNSPEC;
    header->tcm_ifindex = static_cast<int>(interface.index);
    header->tcm_parent = parent;
    int filters = 0;
    const auto answer = socket->ask({buffer.data(), request->nlmsg_len}, [&](const nlmsghdr* message) {
        filters += message->nlmsg_type == RTM_NEWTFILTER;
    });
    if (answer.error) return fail_answer(answer, "cannot list the tc filters by rtnetlink");
    return filters;
}

Result<void> remove_empty_clsact(const Interface& interface) {
    for (const std::uint32_t hook : {TC_H_MIN_INGRESS, TC_H_MIN_EGRESS}) {
        const auto filters = count_filters(interface, TC_H_MAKE(TC_H_CLSACT, hook));
        if (!filters) return tl::unexpected(filters.error());
        if (*filters) return {};
    }
    bpf_tc_hook hook = ingress(interface);
    hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
    const int error = bpf_tc_hook_destroy(&hook);
    if (error && error != -ENOENT && error != -EINVAL)
        return fail_errno(-error, fmt::format("cannot remove clsact from {}", interface.name));
    return {};
}

}  // namespace

Result<bool> tc_attached(const Interface& interface) {
    capture_libbpf_messages();
    const auto place = look(interface);
    if (!place) return tl::unexpected(place.error());
    return *place == Place::ours;
}

Result<bool> attach_tc(const Interface& interface, int program_fd) {
    capture_libbpf_messages();
    bpf_tc_hook hook = ingress(interface);
    const int made = bpf_tc_hook_create(&hook);
    if (made && made != -EEXIST)
        return fail_errno(-made, fmt::format("cannot make the clsact hook on {}", interface.name));
    const auto place = look(interface);
    if (!place) return tl::unexpected(place.error());
    if (*place == Place::foreign)
        return fail(ErrorCode::busy,
                    fmt::format("{} has somebody else's tc filter at ingress priority {} handle {:#x}, where "
                                "synward's belongs; move it: `tc filter show dev {} ingress`",
                                interface.name, our_priority, our_handle, interface.name));
    LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program_fd, .flags = BPF_TC_F_REPLACE, .handle = our_handle,
                .priority = our_priority);
    if (const int error = bpf_tc_attach(&hook, &options))
        return fail_errno(-error, fmt::format("cannot attach the tc program to {}", interface.name));
    return made == 0;
}

Result<bool> detach_tc(const Interface& interface, bool clsact) {
    capture_libbpf_messages();
    const auto place = look(interface);
    if (!place) return tl::unexpected(place.error());
    if (*place == Place::ours) {
        const bpf_tc_hook hook = ingress(interface);
        LIBBPF_OPTS(bpf_tc_opts, options, .handle = our_handle, .priority = our_priority);
        if (const int error = bpf_tc_detach(&hook, &options))
            return fail_errno(-error, fmt::format("cannot take the tc filter off {}", interface.name));
    }
    if (clsact)
        if (auto done = remove_empty_clsact(interface); !done) return tl::unexpected(done.error());
    return *place == Place::ours;
}

}  // namespace synward
