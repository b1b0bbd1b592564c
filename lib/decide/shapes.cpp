// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/shapes.h"

#include <algorithm>

namespace synward {

using std::memory_order_relaxed;

LearnedShapes::LearnedShapes(std::size_t entries, std::chrono::nanoseconds half_life, KeySource& keys)
    : count_(std::max<std::size_t>(1, (entries + ways - 1) / ways)),
      half_life_(static_cast<std::uint64_t>(half_life.count())),
      index_(keys.next()),
      tag_(keys.next()),
      buckets_(new Bucket[count_]()) {}

LearnedShapes::Words LearnedShapes::words(std::uint8_t service, const sw_shape& shape) {
    return {static_cast<std::uint32_t>(shape.layout), static_cast<std::uint32_t>(shape.layout >> 32),
            std::uint32_t{shape.header} << 24 | std::uint32_t{shape.hops} << 16 |
                std::uint32_t{shape.wscale} << 8 | shape.family,
            service};
}

std::uint64_t LearnedShapes::name(std::uint8_t service, const sw_shape& shape) const {
    const Words x = words(service, shape);
    return std::uint64_t{tag_(x)} << 32 | index_(x);
}

std::uint32_t LearnedShapes::count(std::uint8_t service, const sw_shape& shape) const {
    const Words x = words(service, shape);
    const std::uint32_t tag = tag_(x);
    for (const auto& word : buckets_[hash_index(index_(x), count_)].word) {
        const std::uint64_t held = word.load(memory_order_relaxed);
        if (held >> 32 == tag) return static_cast<std::uint32_t>(held);
    }
    return 0;
}

void LearnedShapes::decay(std::uint64_t now) {
    if (!halved_) halved_ = now;
    if (now < halved_ + half_life_) return;
    const std::uint64_t times = (now - halved_) / half_life_;
    halved_ += times * half_life_;
    const unsigned shift = times > 31 ? 31 : static_cast<unsigned>(times);
    for (std::size_t i = 0; i < count_; i++)
        for (auto& word : buckets_[i].word) {
            const std::uint64_t held = word.load(memory_order_relaxed);
            const std::uint32_t left = static_cast<std::uint32_t>(held) >> shift;
            word.store(left ? (held >> 32 << 32 | left) : 0, memory_order_relaxed);
        }
}

void LearnedShapes::learn(std::uint8_t service, const sw_shape& shape, std::uint32_t weight,
                          std::uint64_t now) {
    decay(now);
    const Words x = words(service, shape);
    const std::uint64_t tag = std::uint64_t{tag_(x)} << 32;
    Bucket& bucket = buckets_[hash_index(index_(x), count_)];
    std::size_t rarest = 0;
    std::uint32_t rarest_count = UINT32_MAX;
    for (std::size_t way = 0; way < ways; way++) {
        const std::uint64_t held = bucket.word[way].load(memory_order_relaxed);
        const auto count = static_cast<std::uint32_t>(held);
        if (count && held >> 32 == tag >> 32) {
            const std::uint32_t more = count > UINT32_MAX - weight ? UINT32_MAX : count + weight;
            bucket.word[way].store(tag | more, memory_order_relaxed);
            return;
        }
        if (count < rarest_count) {
            rarest = way;
            rarest_count = count;
        }
    }
    bucket.word[rarest].store(tag | weight, memory_order_relaxed);
}

}  // namespace synward
