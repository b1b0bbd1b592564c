// SPDX-License-Identifier: GPL-2.0-or-later
// SipHash-c-d, written from the paper (Aumasson, Bernstein: "SipHash: a fast
// short-input PRF", 2012, section 2), one byte string in, 64 bits out.
#pragma once

#include <array>

#include "bytes.h"

namespace synward::bpf_test {

using SipKey = std::array<std::uint64_t, 2>;

// Rounds for each word, and at the end.
struct SipRounds {
    int c = 2, d = 4;
};

std::uint64_t siphash(const SipKey& key, View message, SipRounds rounds = {});

// The same without the closing block that holds the length, for messages of whole
// words: what docs/cookies.md uses under a key whose inputs have one length.
std::uint64_t siphash_words(const SipKey& key, View message, SipRounds rounds);

}  // namespace synward::bpf_test
