// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/maps.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <vector>

namespace synward {
namespace {

struct Layout {
    std::string_view name;
    std::uint32_t key;
    std::uint32_t value;
};

// Key and value sizes as this version of the ABI knows them; the ring buffer has none.
constexpr Layout layouts[] = {
    {"sw_memory", 4, sizeof(sw_memory)},
    {"sw_addresses", sizeof(sw_address_key), 4},
    {"sw_stats", 4, sizeof(sw_stats)},
    {"sw_cpu", 4, sizeof(sw_cpu)},
    {"sw_flows", 4, sizeof(sw_flow_set)},
    {"sw_exact", 4, sizeof(sw_source_set)},
    {"sw_gate", 4, 8},
    {"sw_prefix4", sizeof(sw_prefix4), 4},
    {"sw_prefix6", sizeof(sw_prefix6), 4},
    {"sw_tickets", sizeof(sw_ticket_key), sizeof(sw_ticket)},
    {"sw_events", 0, 0},
};
#define X(variable, name, text) +1
static_assert(std::size(layouts) == SW_MAPS(X));
#undef X

}  // namespace

Result<bpf_prog_info> program_info(int program_fd) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(program_fd, &info, &size))
        return fail_errno(-error, "cannot ask the kernel about a BPF program");
    return info;
}

Result<Descriptor> open_program(std::uint32_t id) {
    const int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0) return fail_errno(-fd, fmt::format("cannot open the BPF program with id {}", id));
    return Descriptor(fd);
}

Result<MapSet> MapSet::of_program(int program_fd) {
    auto counted = program_info(program_fd);
    if (!counted) return tl::unexpected(counted.error());
    std::vector<std::uint32_t> ids(counted->nr_map_ids);
    bpf_prog_info info{};
    info.nr_map_ids = static_cast<std::uint32_t>(ids.size());
    info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
    std::uint32_t size = sizeof info;
    if (const int error = bpf_obj_get_info_by_fd(program_fd, &info, &size))
        return fail_errno(-error, "cannot list the maps of a BPF program");

    MapSet set;
    for (const std::uint32_t id : ids) {
        Map map{Descriptor(bpf_map_get_fd_by_id(id)), {}};
        if (!map.fd) return fail_errno(errno, fmt::format("cannot open the BPF map with id {}", id));
        std::uint32_t length = sizeof map.info;
        if (const int error = bpf_obj_get_info_by_fd(map.fd.get(), &map.info, &length))
            return fail_errno(-error, fmt::format("cannot ask the kernel about the BPF map with id {}", id));
        set.maps_.insert_or_assign(map.info.name, std::move(map));
    }
    for (const Layout& layout : layouts) {
        const auto found = set.maps_.find(layout.name);
        if (found == set.maps_.end())
            return fail(
                ErrorCode::mismatch,
                fmt::format("program {} ('{}') has no map {}: it is of another version of synward; unload "
                            "it with the version that loaded it, or with `ip link set DEVICE xdp off`",
                            info.id, info.name, layout.name));
        const bpf_map_info& map = found->second.info;
        if (map.key_size != layout.key || map.value_size != layout.value)
            return fail(
                ErrorCode::mismatch,
                fmt::format("map {} of program {} has keys of {} and values of {} bytes, this version of "
                            "synward knows {} and {}; unload the program with the version that loaded it, "
                            "or with `ip link set DEVICE xdp off`",
                            layout.name, info.id, map.key_size, map.value_size, layout.key, layout.value));
    }
    return set;
}

int MapSet::fd(std::string_view name) const {
    const auto found = maps_.find(name);
    return found == maps_.end() ? -1 : found->second.fd.get();
}

std::uint32_t MapSet::entries(std::string_view name) const {
    const auto found = maps_.find(name);
    return found == maps_.end() ? 0 : found->second.info.max_entries;
}

}  // namespace synward
