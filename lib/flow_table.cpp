// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/flow_table.h"

#include <arpa/inet.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstring>

#include "xdp/hash.h"

namespace synward {
namespace {

void load_words(const RawAddress& address, __u64 (&words)[2]) {
    static_assert(sizeof words == sizeof(RawAddress));
    std::memcpy(words, address.data(), sizeof words);
}

// As xdp/parse.h has them: both ports as they stand in the header.
__u32 port_word(const FlowTuple& flow) {
    return htons(flow.source_port) | static_cast<__u32>(htons(flow.destination_port)) << 16;
}

bool take_out(__u64& there, std::uint32_t tag) {
    const std::atomic_ref entry(there);
    __u64 value = entry.load(std::memory_order_relaxed);
    return static_cast<std::uint32_t>(value) == tag && sw_flow_state_of(value) &&
           entry.compare_exchange_strong(value, 0, std::memory_order_relaxed);
}

}  // namespace

Result<FlowTable> FlowTable::open(const Instance& instance) {
    bpf_map_info info{};
    __u32 length = sizeof info;
    const int fd = instance.map_fd("sw_flows");
    bpf_attr attributes{};
    attributes.info.bpf_fd = static_cast<__u32>(fd);
    attributes.info.info_len = length;
    attributes.info.info = reinterpret_cast<__u64>(&info);
    if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes))
        return fail_errno(errno, "cannot look at the map sw_flows");
    auto sets = MappedArray<sw_flow_set>::create(fd, info.max_entries, "sw_flows");
    if (!sets) return tl::unexpected(sets.error());
    return FlowTable(std::move(*sets), info.max_entries, instance.attachment().program_id, instance.config());
}

bool FlowTable::is_of(const Instance& instance) const {
    const sw_config now = instance.config();
    return instance.attachment().program_id == program_ &&
           !std::memcmp(now.hash_key, config_.hash_key, sizeof now.hash_key);
}

FlowTable::Place FlowTable::place(const FlowTuple& flow) const {
    __u64 source[2];
    __u64 destination[2];
    load_words(flow.source, source);
    load_words(flow.destination, destination);
    const __u64 hash = hash_flow(config_.hash_key, source, destination, port_word(flow), flow.family);
    return {static_cast<std::size_t>(hash >> 32 >> (32 - (config_.flow_shift & 31))),
            static_cast<std::uint32_t>(hash)};
}

std::size_t FlowTable::forget(std::span<const FlowTuple> ended) {
    std::size_t found = 0;
    for (const FlowTuple& flow : ended) {
        const auto [set, tag] = place(flow);
        if (set >= count_) continue;
        for (__u64& there : sets_.data()[set].entry) found += take_out(there, tag);
    }
    return found;
}

void FlowTable::doubt() {
    doubted_.assign(count_ * SW_FLOW_WAYS, 0);
    for (std::size_t i = 0; i < doubted_.size(); i++) {
        const __u64 value = std::atomic_ref(sets_.data()[i / SW_FLOW_WAYS].entry[i % SW_FLOW_WAYS])
                                .load(std::memory_order_relaxed);
        if (sw_flow_state_of(value)) doubted_[i] = static_cast<std::uint32_t>(value);
    }
}

void FlowTable::confirm(std::span<const FlowTuple> existing) {
    if (doubted_.empty()) return;
    for (const FlowTuple& flow : existing) {
        const auto [set, tag] = place(flow);
        if (set >= count_) continue;
        const auto ways = std::span(doubted_).subspan(set * SW_FLOW_WAYS, SW_FLOW_WAYS);
        for (std::uint32_t& doubted : ways)
            if (doubted == tag) doubted = 0;
    }
}

std::size_t FlowTable::settle(bool all) {
    std::size_t found = 0;
    for (std::size_t i = 0; all && i < doubted_.size(); i++)
        if (doubted_[i])
            found += take_out(sets_.data()[i / SW_FLOW_WAYS].entry[i % SW_FLOW_WAYS], doubted_[i]);
    doubted_ = {};
    return found;
}

}  // namespace synward
