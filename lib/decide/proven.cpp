// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/proven.h"

#include <algorithm>

namespace synward {

using std::memory_order_relaxed;

ProvenTable::ProvenTable(std::size_t entries, std::chrono::nanoseconds window, KeySource& keys)
    : count_(std::max<std::size_t>(1, (entries + ways - 1) / ways)),
      window_(static_cast<std::uint32_t>(window.count() >> time_shift) + 1),
      index_(keys.next()),
      tag_(keys.next()),
      buckets_(new Bucket[count_]()) {}

void ProvenTable::add(std::uint64_t prefix, std::uint64_t now) {
    Bucket& b = bucket(prefix);
    const std::uint32_t tag = tag_(prefix);
    const std::uint32_t time = time_of(now);
    const std::uint64_t word = std::uint64_t{tag} << 32 | time;
    std::size_t oldest = 0;
    std::uint32_t oldest_time = UINT32_MAX;
    for (std::size_t way = 0; way < ways; way++) {
        const std::uint64_t old = b.word[way].load(memory_order_relaxed);
        const auto old_time = static_cast<std::uint32_t>(old);
        if (is(old, tag)) {
            const std::uint32_t count = b.handshakes[way].load(memory_order_relaxed);
            const bool forgotten = time - old_time > window_ && time > old_time;
            b.handshakes[way].store(forgotten ? 1 : count + (count < UINT32_MAX), memory_order_relaxed);
            b.word[way].store(word, memory_order_relaxed);
            return;
        }
        if (old_time < oldest_time) {
            oldest = way;
            oldest_time = old_time;
        }
    }
    b.handshakes[oldest].store(0, memory_order_relaxed);
    b.word[oldest].store(word, memory_order_relaxed);
    b.handshakes[oldest].store(1, memory_order_relaxed);
}

ProvenTable::Proof ProvenTable::find(std::uint64_t prefix, std::uint64_t now) const {
    const Bucket& b = bucket(prefix);
    const std::uint32_t tag = tag_(prefix);
    for (std::size_t way = 0; way < ways; way++) {
        const std::uint64_t word = b.word[way].load(memory_order_relaxed);
        if (!is(word, tag)) continue;
        const std::uint32_t time = time_of(now);
        const auto then = static_cast<std::uint32_t>(word);
        // Another thread's clock may be ahead by a step.
        const std::uint64_t age = time > then ? std::uint64_t{time - then} << time_shift : 0;
        return {b.handshakes[way].load(memory_order_relaxed), age};
    }
    return {};
}

ProvenSources::ProvenSources(std::size_t hosts, std::size_t nets, std::chrono::nanoseconds window,
                             KeySource& keys)
    : tables_{ProvenTable(hosts, window, keys), ProvenTable(nets, window, keys),
              ProvenTable(hosts, window, keys), ProvenTable(nets, window, keys)} {}

void ProvenSources::add(const RawAddress& source, sw_family family, std::uint64_t now) {
    for (const Scope scope : {Scope::host, Scope::net})
        tables_[family * 2u + static_cast<unsigned>(scope)].add(prefix_id(source, family, scope), now);
}

std::size_t ProvenSources::memory_bytes() const {
    std::size_t bytes = 0;
    for (const ProvenTable& table : tables_) bytes += table.memory_bytes();
    return bytes;
}

}  // namespace synward
