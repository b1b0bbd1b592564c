// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>

#include "lib/live_policy.h"

namespace synward {
namespace {

struct SourceMap {
    const char* name;
    sw_family family;
    bool prefix;
};
constexpr SourceMap source_maps[] = {{"sw_exact4", SW_IPV4, false},
                                     {"sw_exact6", SW_IPV6, false},
                                     {"sw_prefix4", SW_IPV4, true},
                                     {"sw_prefix6", SW_IPV6, true}};

// Large enough for every key; the maps take as many bytes as theirs has.
struct Key {
    std::uint8_t bytes[sizeof(sw_prefix6)] = {};
};

const SourceMap& map_of(const Prefix& prefix) {
    const auto found = std::find_if(std::begin(source_maps), std::end(source_maps), [&](const SourceMap& m) {
        return m.family == prefix.address.family && m.prefix == !prefix.is_host();
    });
    return *found;
}

Key key_of(const Prefix& prefix) {
    Key key;
    const std::size_t size = prefix.address.bits() / 8;
    if (prefix.is_host()) {
        std::memcpy(key.bytes, prefix.address.bytes.data(), size);
    } else {
        const std::uint32_t length = prefix.length;
        std::memcpy(key.bytes, &length, sizeof length);
        std::memcpy(key.bytes + sizeof length, prefix.address.bytes.data(), size);
    }
    return key;
}

Prefix prefix_of(const SourceMap& map, const Key& key) {
    Prefix prefix;
    prefix.address.family = map.family;
    const std::size_t size = prefix.address.bits() / 8;
    std::uint32_t length = prefix.address.bits();
    if (map.prefix) std::memcpy(&length, key.bytes, sizeof length);
    std::memcpy(prefix.address.bytes.data(), key.bytes + (map.prefix ? sizeof length : 0), size);
    prefix.length = length;
    return prefix;
}

using FateMap = std::map<Prefix, sw_fate>;

FateMap index(const std::vector<SourceEntry>& entries) {
    FateMap fates;
    for (const SourceEntry& entry : entries) fates[entry.prefix] = entry.fate;
    return fates;
}

}  // namespace

unsigned SourceMaps::shift() const {
    return static_cast<unsigned>(std::bit_width(maps_->entries("sw_exact"))) - 1;
}

SourceTable SourceMaps::table(const __u64 (&hash_key)[8]) const {
    return {table_.data(), shift(), hash_key};
}

void SourceMaps::reset_table() {
    std::fill_n(table_.data(), std::size_t{1} << shift(), sw_source_set{});
}

Result<std::vector<SourceEntry>> SourceMaps::read() const {
    std::vector<SourceEntry> entries;
    for (const SourceMap& map : source_maps) {
        const int fd = maps_->fd(map.name);
        Key key;
        Key next;
        for (const void* from = nullptr; bpf_map_get_next_key(fd, from, next.bytes) == 0; from = key.bytes) {
            key = next;
            std::uint32_t fate = 0;
            // Gone meanwhile, if it fails.
            if (bpf_map_lookup_elem(fd, key.bytes, &fate) == 0)
                entries.push_back({prefix_of(map, key), static_cast<sw_fate>(fate)});
        }
        if (errno != ENOENT) return fail_errno(errno, fmt::format("cannot list the map {}", map.name));
    }
    return entries;
}

// Word by word: a bit that stays set is never seen unset.
void SourceMaps::write_gate(const sw_gate& gate) {
    static_assert(sizeof(sw_gate) % sizeof(__u64) == 0);
    const auto* from = reinterpret_cast<const __u64*>(&gate);
    auto* to = reinterpret_cast<__u64*>(gate_);
    for (std::size_t i = 0; i < sizeof(sw_gate) / sizeof(__u64); i++)
        std::atomic_ref(to[i]).store(from[i], std::memory_order_release);
}

Result<void> SourceMaps::stage(const std::vector<SourceEntry>& old, const std::vector<SourceEntry>& wanted,
                               const __u64 (&hash_key)[8]) {
    std::vector<SourceEntry> both = old;
    both.insert(both.end(), wanted.begin(), wanted.end());
    write_gate(build_gate(both, hash_key));

    const FateMap before = index(old);
    for (const SourceEntry& entry : wanted) {
        const auto known = before.find(entry.prefix);
        if (known != before.end() && known->second == entry.fate) continue;
        const SourceMap& map = map_of(entry.prefix);
        const std::uint32_t fate = entry.fate;
        const int error =
            bpf_map_update_elem(maps_->fd(map.name), key_of(entry.prefix).bytes, &fate, BPF_ANY);
        if (!error) continue;
        if (-error == E2BIG || -error == ENOSPC)
            return fail(
                ErrorCode::config,
                fmt::format("the source set {} has room for {} entries and is full at {}; list prefixes in "
                            "the place of single addresses",
                            map.name, maps_->all().find(map.name)->second.info.max_entries,
                            entry.prefix.to_string()));
        return fail_errno(-error,
                          fmt::format("cannot write {} into the map {}", entry.prefix.to_string(), map.name));
    }
    table(hash_key).fill(wanted);
    return {};
}

Result<void> SourceMaps::finish(const std::vector<SourceEntry>& old, const std::vector<SourceEntry>& wanted,
                                const __u64 (&hash_key)[8]) {
    const FateMap after = index(wanted);
    SourceTable exact = table(hash_key);
    for (const SourceEntry& entry : old) {
        if (after.contains(entry.prefix)) continue;
        if (entry.prefix.is_host()) exact.remove(entry.prefix.address);
        const SourceMap& map = map_of(entry.prefix);
        const int error = bpf_map_delete_elem(maps_->fd(map.name), key_of(entry.prefix).bytes);
        if (error && error != -ENOENT)
            return fail_errno(
                -error, fmt::format("cannot take {} out of the map {}", entry.prefix.to_string(), map.name));
    }
    exact.settle(wanted);
    write_gate(build_gate(wanted, hash_key));
    return {};
}

}  // namespace synward
