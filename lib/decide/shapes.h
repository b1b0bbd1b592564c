// SPDX-License-Identifier: GPL-2.0-or-later
// What the SYNs of each service look like when nobody attacks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/abi/escalate.h"
#include "lib/decide/hash.h"

namespace synward {

// A bounded count of (service, shape), which halves from time to time. One
// thread writes (learn), any reads. As with proven sources, 32 hash bits stand
// for the shape. In a full bucket the rarest gives way, so that a stream of
// shapes that come once each does not displace the usual ones.
class LearnedShapes {
  public:
    LearnedShapes(std::size_t entries, std::chrono::nanoseconds half_life, KeySource& keys);
    void learn(std::uint8_t service, const sw_shape& shape, std::uint32_t weight, std::uint64_t now);
    [[nodiscard]] std::uint32_t count(std::uint8_t service, const sw_shape& shape) const;
    // A 64-bit name of the pair, keyed; for tables of the same process.
    [[nodiscard]] std::uint64_t name(std::uint8_t service, const sw_shape& shape) const;
    [[nodiscard]] std::size_t memory_bytes() const { return count_ * sizeof(Bucket); }

  private:
    static constexpr std::size_t ways = 8;
    // Hash bits above, count below. 0: empty.
    struct alignas(64) Bucket {
        std::array<std::atomic<std::uint64_t>, ways> word;
    };
    using Words = std::array<std::uint32_t, 4>;
    [[nodiscard]] static Words words(std::uint8_t service, const sw_shape& shape);
    void decay(std::uint64_t now);

    std::size_t count_;
    std::uint64_t half_life_;
    std::uint64_t halved_ = 0;  // when; 0: not yet begun
    HashKey index_;
    HashKey tag_;
    std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace synward
