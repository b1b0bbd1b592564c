// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/source_lookup.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "lib/source_table.h"

namespace synward {

static_assert(offsetof(sw_prefix4, generation) == offsetof(sw_prefix6, generation));
static_assert(offsetof(sw_prefix4, address) == offsetof(sw_prefix6, address));

SourceKey::SourceKey(const Prefix& prefix, std::uint32_t port, std::uint32_t generation) {
    unsigned char* address = bytes + offsetof(sw_prefix6, address);
    std::uint32_t length = 8 + prefix.length;
    bytes[offsetof(sw_prefix6, generation)] = static_cast<unsigned char>(generation);
    if (port) {
        bytes[offsetof(sw_prefix6, generation)] |= SW_PREFIX_BY_PORT;
        const std::uint16_t wire = htons(static_cast<std::uint16_t>(port));
        std::memcpy(address, &wire, sizeof wire);
        address += sizeof wire;
        length += 8 * sizeof wire;
    }
    std::memcpy(bytes, &length, sizeof length);
    std::memcpy(address, prefix.address.bytes.data(), prefix.address.bits() / 8);
}

std::uint32_t source_capacity(const MapSet& maps) {
    return maps.entries("sw_exact") / SW_GENERATIONS * (SW_SOURCE_WAYS / 2);
}

std::uint32_t prefix_capacity(const MapSet& maps) {
    return maps.entries("sw_prefix4") / SW_GENERATIONS;
}

Result<void> check_capacity(const MapSet& maps, std::span<const SourceEntry> entries) {
    std::size_t hosts = 0;
    std::array<std::size_t, SW_FAMILIES> prefixes{};
    for (const SourceEntry& e : entries) (e.prefix.is_host() ? hosts : prefixes[e.prefix.address.family])++;
    if (hosts > source_capacity(maps))
        return fail(
            ErrorCode::config,
            fmt::format("{} single addresses do not fit into the source sets, which have room for {}; "
                        "raise limits.sources and load the program anew (synward unload, then load), "
                        "or list prefixes in their place",
                        hosts, source_capacity(maps)));
    const std::size_t most = *std::max_element(prefixes.begin(), prefixes.end());
    if (most > prefix_capacity(maps))
        return fail(ErrorCode::config,
                    fmt::format("{} prefixes of one family do not fit into the source sets, which have room "
                                "for {}; list longer ones together",
                                most, prefix_capacity(maps)));
    return {};
}

Result<SourceLookup> SourceLookup::open(const MapSet& maps) {
    auto memory = MappedArray<sw_memory>::create(maps.fd("sw_memory"), 1, "sw_memory");
    if (!memory) return tl::unexpected(memory.error());
    auto exact =
        MappedArray<sw_source_set>::create(maps.fd("sw_exact"), maps.entries("sw_exact"), "sw_exact");
    if (!exact) return tl::unexpected(exact.error());
    return SourceLookup(maps, std::move(*memory), std::move(*exact));
}

Result<std::optional<SourceEntry>> SourceLookup::look(const Address& address, std::uint32_t port,
                                                      std::uint32_t sources) const {
    const std::uint32_t generation = sw_set_generation(sources);
    const Prefix host{address, address.bits()};
    if (sources & source_set(host)) {
        const sw_config& config = memory_.data()->config;
        const SourceTable table(exact_.data() + (std::size_t{generation} << config.source_shift),
                                sw_set_exact_shift(sw_set_gate_shift(sources), config.source_shift),
                                config.hash_key);
        if (const sw_fate fate = table.find(address, port)) return SourceEntry{host, fate, port};
    }
    const bool v4 = address.family == SW_IPV4;
    const SourceKey key(host, port, generation);
    std::uint32_t value = 0;
    if (bpf_map_lookup_elem(maps_->fd(v4 ? "sw_prefix4" : "sw_prefix6"), key.bytes, &value)) {
        if (errno == ENOENT) return std::nullopt;
        return fail_errno(errno, "cannot look up " + address.to_string() + " in the source sets");
    }
    Prefix prefix{address, value >> SW_PREFIX_VALUE_LENGTH_SHIFT & 0xff};
    for (unsigned bit = prefix.length; bit < address.bits(); bit++)
        prefix.address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
    return SourceEntry{prefix, static_cast<sw_fate>(value & 0xff), port};
}

Result<std::optional<SourceEntry>> SourceLookup::find(const Address& address) const {
    return look(address, 0, std::atomic_ref(memory_.data()->config.sources).load(std::memory_order_acquire));
}

Result<std::optional<SourceEntry>> SourceLookup::find_port(const Address& address, std::uint16_t port) const {
    const std::uint32_t sources =
        std::atomic_ref(memory_.data()->config.sources).load(std::memory_order_acquire);
    if (!(sources & (address.family == SW_IPV4 ? SW_SET_PORT4 : SW_SET_PORT6))) return std::nullopt;
    return look(address, port, sources);
}

}  // namespace synward
