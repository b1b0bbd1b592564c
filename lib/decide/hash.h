// SPDX-License-Identifier: GPL-2.0-or-later
// Keyed hashes for the tables of the deciders.
//
// Vector pair-multiply-shift (Thorup, "High Speed Hashing for Integers and
// Strings", 2015, section 3.5): for 32-bit words x and random 64-bit keys a,
//     h(x) = (sum of (a[2i] + x[2i+1]) * (a[2i+1] + x[2i]) + a[last]) >> 32
// is strongly universal: whoever does not know the key finds no two inputs that
// collide more often than chance has it. The keys never leave the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/result.h"

namespace synward {

struct HashKey {
    static constexpr std::size_t words = 12;
    std::array<std::uint64_t, words + 1> a{};  // the last is added

    // N even, at most `words`.
    template <std::size_t N>
    [[nodiscard]] std::uint32_t operator()(const std::array<std::uint32_t, N>& x) const {
        static_assert(N % 2 == 0 && N <= words);
        std::uint64_t sum = a[words];
        for (std::size_t i = 0; i < N; i += 2) sum += (a[i] + x[i + 1]) * (a[i + 1] + x[i]);
        return static_cast<std::uint32_t>(sum >> 32);
    }
    [[nodiscard]] std::uint32_t operator()(std::uint64_t x) const {
        return (*this)(std::array{static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(x >> 32)});
    }
};

// Index below `count` from a hash, as even as the hash (Lemire's reduction).
[[nodiscard]] constexpr std::size_t hash_index(std::uint32_t hash, std::size_t count) {
    return static_cast<std::size_t>((std::uint64_t{hash} * count) >> 32);
}

// Where keys come from: the kernel's random numbers, or a seed (tests, replays).
class KeySource {
  public:
    // Fails where getrandom() does.
    [[nodiscard]] static Result<KeySource> random();
    explicit KeySource(std::uint64_t seed) : state_(seed) {}

    [[nodiscard]] HashKey next();

  private:
    // Seeded: splitmix64. From the kernel: the same, mixed into 128 random bytes.
    std::uint64_t state_ = 0;
    std::array<std::uint64_t, 16> pool_{};
};

}  // namespace synward
