// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/xdp_hook.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <xdp/libxdp.h>

#include <cerrno>
#include <memory>
#include <string_view>

#include "lib/abi/maps.h"
#include "lib/loader.h"
#include "lib/maps.h"

namespace synward {
namespace {

constexpr std::string_view dispatcher_name = "xdp_dispatcher";

struct CloseMultiprog {
    void operator()(xdp_multiprog* programs) const { xdp_multiprog__close(programs); }
};
using Multiprog = std::unique_ptr<xdp_multiprog, CloseMultiprog>;

Multiprog dispatcher_of(const Interface& interface) {
    capture_libbpf_messages();
    xdp_multiprog* programs = xdp_multiprog__get_from_ifindex(static_cast<int>(interface.index));
    return Multiprog(libxdp_get_error(programs) ? nullptr : programs);
}

xdp_program* component_of(xdp_multiprog* programs) {
    for (xdp_program* p = xdp_multiprog__next_prog(nullptr, programs); p;
         p = xdp_multiprog__next_prog(p, programs))
        if (std::string_view(xdp_program__name(p)) == SW_PROGRAM_XDP) return p;
    return nullptr;
}

Result<HookedProgram> behind_dispatcher(const Interface& interface) {
    const Multiprog programs = dispatcher_of(interface);
    xdp_program* ours = programs ? component_of(programs.get()) : nullptr;
    if (!ours)
        return fail(ErrorCode::busy,
                    fmt::format("libxdp's dispatcher is on {} without synward behind it; add it with "
                                "`xdp-loader load {} synward.bpf.o` and start again",
                                interface.name, interface.name));
    auto program = open_program(xdp_program__id(ours));
    if (!program) return tl::unexpected(program.error());
    return HookedProgram{std::move(*program), xdp_program__id(ours), AttachMode::dispatcher};
}

unsigned flags_of(AttachMode mode) {
    switch (mode) {
        case AttachMode::generic:
            return XDP_FLAGS_SKB_MODE;
        case AttachMode::offload:
            return XDP_FLAGS_HW_MODE;
        default:
            return XDP_FLAGS_DRV_MODE;
    }
}

}  // namespace

Result<std::optional<HookedProgram>> query_xdp(const Interface& interface) {
    capture_libbpf_messages();
    LIBBPF_OPTS(bpf_xdp_query_opts, found);
    if (const int error = bpf_xdp_query(static_cast<int>(interface.index), 0, &found))
        return fail_errno(-error, fmt::format("cannot ask {} for its XDP program", interface.name));
    const struct {
        std::uint32_t id;
        AttachMode mode;
    } hooks[] = {{found.drv_prog_id, AttachMode::native},
                 {found.skb_prog_id, AttachMode::generic},
                 {found.hw_prog_id, AttachMode::offload}};

    std::optional<Error> foreign;
    for (const auto& hook : hooks) {
        if (!hook.id) continue;
        auto program = open_program(hook.id);
        if (!program) return tl::unexpected(program.error());
        const auto info = program_info(program->get());
        if (!info) return tl::unexpected(info.error());
        const std::string_view name = info->name;
        if (name == SW_PROGRAM_XDP) return HookedProgram{std::move(*program), hook.id, hook.mode};
        if (name == dispatcher_name) {
            auto ours = behind_dispatcher(interface);
            if (ours) return std::move(*ours);
            foreign = ours.error();
            continue;
        }
        foreign =
            Error{fmt::format("{} already has the XDP program '{}' (id {}, {} mode), which is not synward's; "
                              "take it off with `ip link set dev {} xdp{} off`, or load both with xdp-loader",
                              interface.name, name, hook.id, attach_mode_name(hook.mode), interface.name,
                              hook.mode == AttachMode::generic ? "generic" : ""),
                  ErrorCode::busy};
    }
    if (foreign) return tl::unexpected(*foreign);
    return std::nullopt;
}

Result<AttachMode> attach_xdp(const Interface& interface, int program_fd, bool generic,
                              std::string& generic_why) {
    capture_libbpf_messages();
    const int index = static_cast<int>(interface.index);
    if (generic) {
        generic_why = "the config says so";
    } else {
        const int error =
            bpf_xdp_attach(index, program_fd, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_DRV_MODE, nullptr);
        if (!error) return AttachMode::native;
        auto failure = fail_errno(-error, fmt::format("cannot attach the XDP program to {}", interface.name));
        // Somebody was faster, or we may not: another mode would not be better.
        if (failure.value().code == ErrorCode::busy || failure.value().code == ErrorCode::privilege ||
            failure.value().code == ErrorCode::missing)
            return failure;
        generic_why = fmt::format("the driver refused it: {}", failure.value().message);
        if (const std::string said = take_libbpf_messages(); !said.empty()) generic_why += " (" + said + ")";
    }
    const int error =
        bpf_xdp_attach(index, program_fd, XDP_FLAGS_UPDATE_IF_NOEXIST | XDP_FLAGS_SKB_MODE, nullptr);
    if (error)
        return fail_errno(-error, fmt::format("cannot attach the XDP program to {} in generic mode either",
                                              interface.name));
    return AttachMode::generic;
}

Result<void> detach_xdp(const Interface& interface, const HookedProgram& hooked) {
    capture_libbpf_messages();
    const int index = static_cast<int>(interface.index);
    if (hooked.mode == AttachMode::dispatcher) {
        const Multiprog programs = dispatcher_of(interface);
        xdp_program* ours = programs ? component_of(programs.get()) : nullptr;
        if (!ours)
            return fail(ErrorCode::missing,
                        fmt::format("synward is no longer behind the dispatcher on {}", interface.name));
        if (const int error = xdp_program__detach(ours, index, xdp_multiprog__attach_mode(programs.get()), 0))
            return fail_errno(-error,
                              fmt::format("cannot take synward out of the dispatcher on {}", interface.name));
        return {};
    }
    LIBBPF_OPTS(bpf_xdp_attach_opts, options, .old_prog_fd = hooked.program.get());
    if (const int error = bpf_xdp_detach(index, flags_of(hooked.mode), &options))
        return fail_errno(-error, fmt::format("cannot detach synward from {}", interface.name));
    return {};
}

}  // namespace synward
