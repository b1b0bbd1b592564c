// SPDX-License-Identifier: GPL-2.0-or-later
#include "siphash.h"

#include <bit>

namespace synward::bpf_test {

std::uint64_t siphash(const SipKey& key, View message, SipRounds rounds) {
    // Words of eight bytes, little endian; the last one ends with the length mod 256.
    Bytes padded(message.begin(), message.end());
    while (padded.size() % 8 != 7) padded.push_back(0);
    padded.push_back(static_cast<std::uint8_t>(message.size()));
    return siphash_words(key, padded, rounds);
}

std::uint64_t siphash_words(const SipKey& key, View message, SipRounds number) {
    // "somepseudorandomlygeneratedbytes"
    std::uint64_t v0 = key[0] ^ 0x736f6d6570736575, v1 = key[1] ^ 0x646f72616e646f6d;
    std::uint64_t v2 = key[0] ^ 0x6c7967656e657261, v3 = key[1] ^ 0x7465646279746573;
    const auto rounds = [&](int count) {
        while (count--) {
            v0 += v1, v2 += v3;
            v1 = std::rotl(v1, 13) ^ v0, v3 = std::rotl(v3, 16) ^ v2;
            v0 = std::rotl(v0, 32);
            v2 += v1, v0 += v3;
            v1 = std::rotl(v1, 17) ^ v2, v3 = std::rotl(v3, 21) ^ v0;
            v2 = std::rotl(v2, 32);
        }
    };
    for (std::size_t at = 0; at < message.size(); at += 8) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < 8; ++i)
            word |= static_cast<std::uint64_t>(get8(message, at + i)) << (8 * i);
        v3 ^= word;
        rounds(number.c);
        v0 ^= word;
    }
    v2 ^= 0xff;
    rounds(number.d);
    return v0 ^ v1 ^ v2 ^ v3;
}

}  // namespace synward::bpf_test
