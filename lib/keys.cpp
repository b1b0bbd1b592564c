// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/keys.h"

#include <sys/random.h>

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

}  // namespace synward
