// SPDX-License-Identifier: GPL-2.0-or-later
// SipHash-2-4, written from the paper (Aumasson, Bernstein: "SipHash: a fast
// short-input PRF", 2012, section 2), one byte string in, 64 bits out.
#pragma once

#include <array>

#include "bytes.h"

namespace synward::bpf_test {

using SipKey = std::array<std::uint64_t, 2>;

std::uint64_t siphash24(const SipKey& key, View message);

// The same without the closing block that holds the length, for messages of whole
// words: what docs/cookies.md uses under a key whose inputs have one length.
std::uint64_t siphash24_words(const SipKey& key, View message);

}  // namespace synward::bpf_test
