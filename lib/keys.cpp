// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/keys.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

namespace synward {

std::uint64_t random_word() {
    std::uint64_t word = 0;
    // Eight bytes are never cut short, and the generator is seeded long before we run.
    if (getrandom(&word, sizeof word, 0) != sizeof word) std::abort();
    return word;
}

std::array<std::uint64_t, 8> random_hash_key() {
    std::array<std::uint64_t, 8> key{};
    for (auto& word : key) word = random_word() | 1;
    return key;
}

sw_keyring first_keyring(std::uint32_t epoch) {
    sw_keyring keyring{};
    for (auto& key : keyring.key)
        for (auto& word : key) word = random_word();
    // Two epochs back: at once ready for a rotation.
    keyring.since = epoch - 2;
    keyring.version = 1;
    return keyring;
}

std::optional<KeyRotation> plan_rotation(const sw_keyring& keyring, std::uint32_t epoch) {
    // Serial arithmetic: the epoch may wrap.
    if (static_cast<std::int32_t>(epoch - keyring.since) < 1) return std::nullopt;
    KeyRotation rotation;
    rotation.slot = (keyring.active & 1) ^ 1;
    rotation.key = {random_word(), random_word()};
    rotation.since = epoch + 2;
    rotation.active = rotation.slot;
    return rotation;
}

KeyTimes key_times(const sw_keyring& keyring, std::uint64_t ticks, unsigned epoch_shift, unsigned hz) {
    const std::int64_t hertz = std::max(1u, hz);
    const auto gone = static_cast<std::int64_t>(ticks & ((std::uint64_t{1} << epoch_shift) - 1));
    const auto until = [&](std::uint32_t epoch) {
        const auto epochs =
            static_cast<std::int32_t>(epoch - static_cast<std::uint32_t>(ticks >> epoch_shift));
        const std::int64_t left = (std::int64_t{epochs} << epoch_shift) - gone;
        return std::chrono::seconds(left > 0 ? (left + hertz - 1) / hertz : 0);
    };
    return {until(keyring.since), until(keyring.since + 1)};
}

}  // namespace synward
