// SPDX-License-Identifier: GPL-2.0-or-later
// Random keys, and the arithmetic of rotating those of the cookies.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "lib/abi/policy.h"
#include "lib/result.h"

namespace synward {

// From the kernel's generator.
[[nodiscard]] std::uint64_t random_word();

// Eight odd random numbers, as sw_config.hash_key wants them.
[[nodiscard]] std::array<std::uint64_t, 8> random_hash_key();

// Both keys random, `since` in the past: the first keyring of an interface.
[[nodiscard]] sw_keyring first_keyring(std::uint32_t epoch);

// What a rotation in `epoch` writes: key[slot] first, then since and active in
// one store. Nothing when a cookie of the key in `slot` may still be accepted:
// those of epoch since - 1 are until the end of epoch `since` (docs/cookies.md).
// The new key begins two epochs ahead, so that a packet that is being answered
// while the epoch changes sees one key.
struct KeyRotation {
    unsigned slot = 0;
    std::array<std::uint64_t, 2> key{};
    std::uint32_t since = 0;
    std::uint32_t active = 0;
};
[[nodiscard]] std::optional<KeyRotation> plan_rotation(const sw_keyring& keyring, std::uint32_t epoch);

// From `ticks` on, rounded up; 0 where it is so now.
struct KeyTimes {
    std::chrono::seconds begins{};       // until cookies are made with the newest key
    std::chrono::seconds replaceable{};  // until none of the key before is accepted: plan_rotation() plans
};
[[nodiscard]] KeyTimes key_times(const sw_keyring& keyring, std::uint64_t ticks, unsigned epoch_shift,
                                 unsigned hz);

}  // namespace synward
