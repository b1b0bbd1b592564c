// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/known_flows.h"

#include <algorithm>

#include "lib/decide/prefix.h"

namespace synward {

using std::memory_order_relaxed;

KnownFlows::KnownFlows(std::size_t flows, KeySource& keys)
    : words_(std::max<std::size_t>(1, flows)),
      index_(keys.next()),
      bits_(keys.next()),
      filter_(new Word[words_]()) {}

KnownFlows::Place KnownFlows::place_hashes(std::uint32_t index, std::uint32_t bits, std::size_t words) {
    return {hash_index(index, words), std::uint64_t{1} << (bits >> 26) |
                                          std::uint64_t{1} << (bits >> 20 & 63) |
                                          std::uint64_t{1} << (bits >> 14 & 63)};
}

KnownFlows::Place KnownFlows::place(const FlowTuple& f) const {
    const std::uint32_t ports = std::uint32_t{f.source_port} << 16 | f.destination_port;
    if (f.family == SW_IPV4) {
        const std::array<std::uint32_t, 4> x{f.source[0], f.destination[0], ports, 1};
        return place_hashes(index_(x), bits_(x), words_);
    }
    const std::array<std::uint32_t, 10> x{
        f.source[0],      f.source[1],      f.source[2],      f.source[3], f.destination[0],
        f.destination[1], f.destination[2], f.destination[3], ports,       2};
    return place_hashes(index_(x), bits_(x), words_);
}

KnownFlows::Place KnownFlows::place_source(const RawAddress& source, sw_family family) const {
    const std::uint64_t host = prefix_id(source, family, Scope::host);
    const std::array<std::uint32_t, 4> x{static_cast<std::uint32_t>(host),
                                         static_cast<std::uint32_t>(host >> 32), 0,
                                         family == SW_IPV4 ? 3u : 4u};
    return place_hashes(index_(x), bits_(x), words_);
}

void KnownFlows::begin() {
    // After a renewal that failed the same generation is filled again: the other
    // one is the last that was whole. What was reported since is only in this one,
    // so that it stays, unless failures go on until the filter would be full.
    if (renewing_ && added_ <= words_) return;
    if (!renewing_) current_ ^= 1;
    renewing_ = true;
    added_ = 0;
    for (std::size_t i = 0; i < words_; i++) filter_[i].generation[current_].store(0, memory_order_relaxed);
}

void KnownFlows::set(const Place& place) {
    // One writer: no atomic read-modify-write is needed.
    auto& word = filter_[place.word].generation[current_];
    word.store(word.load(memory_order_relaxed) | place.bits, memory_order_relaxed);
}

bool KnownFlows::test(const Place& place) const {
    const Word& word = filter_[place.word];
    return (word.generation[0].load(memory_order_relaxed) & place.bits) == place.bits ||
           (word.generation[1].load(memory_order_relaxed) & place.bits) == place.bits;
}

void KnownFlows::add(const FlowTuple& flow) {
    added_++;
    set(place(flow));
    set(place_source(flow.source, flow.family));
}

void KnownFlows::finish(std::uint64_t now) {
    renewing_ = false;
    finished_.store(std::max<std::uint64_t>(now, 1), std::memory_order_release);
}

bool KnownFlows::contains(const FlowTuple& flow) const {
    return test(place(flow));
}

bool KnownFlows::contains_source(const RawAddress& source, sw_family family) const {
    return test(place_source(source, family));
}

bool KnownFlows::trusted(std::uint64_t now, std::uint64_t age) const {
    const std::uint64_t then = finished();
    return then && now <= then + age;
}

}  // namespace synward
