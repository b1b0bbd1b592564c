// SPDX-License-Identifier: GPL-2.0-or-later
#include "siphash.h"

#include <gtest/gtest.h>

#include <numeric>

namespace synward::bpf_test {

// Key 00 01 .. 0f, message 00 01 .. (n-1): vectors of the reference implementation.
constexpr SipKey kKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

std::uint64_t vector_of(std::size_t length, SipRounds rounds = {}) {
    Bytes message(length);
    std::iota(message.begin(), message.end(), 0);
    return siphash(kKey, message, rounds);
}

TEST(SipHash, AgreesWithThePaper) {
    EXPECT_EQ(vector_of(15), 0xa129ca6149be45e5);
}

TEST(SipHash, AgreesWithTheReferenceVectors) {
    EXPECT_EQ(vector_of(0), 0x726fdb47dd0e0e31);
    EXPECT_EQ(vector_of(1), 0x74f839c593dc67fd);
    EXPECT_EQ(vector_of(2), 0x0d6c8009d9a94f5a);
    EXPECT_EQ(vector_of(3), 0x85676696d7fb7e2d);
    EXPECT_EQ(vector_of(7), 0xab0200f58b01d137);
    EXPECT_EQ(vector_of(8), 0x93f5f5799a932462);
    EXPECT_EQ(vector_of(16), 0x3f2acc7f57c29bdb);
    EXPECT_EQ(vector_of(63), 0x958a324ceb064572);
    // of SipHash-1-3, as Rust's standard library tests it
    EXPECT_EQ(vector_of(0, {1, 3}), 0xabac0158050fc4dc);
}

}  // namespace synward::bpf_test
