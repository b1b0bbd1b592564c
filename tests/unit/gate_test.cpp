// SPDX-License-Identifier: GPL-2.0-or-later
// The gate's bits: what the library sets is what the program looks at; and the hash
// of the exact sources behind it. xdp/hash.h is compiled here in user space.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "lib/keys.h"
#include "lib/policy.h"
#include "xdp/hash.h"

namespace synward {
namespace {

struct Words {
    __u64 word[2] = {0, 0};
    explicit Words(const Address& a) { std::memcpy(word, a.bytes.data(), a.bits() / 8); }
};

Address random_address(std::mt19937_64& random, sw_family family) {
    Address address{.family = family};
    for (unsigned i = 0; i < address.bits() / 8; i++) address.bytes[i] = static_cast<std::uint8_t>(random());
    return address;
}

bool bit(const __u64* words, unsigned index) {
    return words[index >> 6] >> (index & 63) & 1;
}

// What sets_fate() asks the gate for this source.
bool exact_open(const sw_gate& gate, const __u64 (&key)[8], const Address& a) {
    return bit(gate.exact[a.family], hash_gate_exact(key, Words(a).word, a.family));
}
bool prefix_open(const sw_gate& gate, const Address& a) {
    return bit(gate.prefix[a.family], hash_gate_prefix(Words(a).word, a.family));
}

struct GateTest : testing::Test {
    GateTest() {
        const auto random_key = random_hash_key();
        std::copy(random_key.begin(), random_key.end(), key);
    }
    __u64 key[8];
    std::mt19937_64 random{1};
};

TEST_F(GateTest, IndicesEqualThoseOfTheProgram) {
    for (int i = 0; i < 10'000; i++) {
        for (const sw_family family : {SW_IPV4, SW_IPV6}) {
            const Address a = random_address(random, family);
            ASSERT_EQ(gate_exact(a, key), hash_gate_exact(key, Words(a).word, family)) << a.to_string();
            ASSERT_EQ(gate_prefix(a), hash_gate_prefix(Words(a).word, family)) << a.to_string();
        }
    }
}

TEST_F(GateTest, LetsEveryListedSourceThrough) {
    std::vector<SourceEntry> sources;
    for (int i = 0; i < 500; i++) {
        for (const sw_family family : {SW_IPV4, SW_IPV6}) {
            Prefix p{random_address(random, family), 0};
            p.length = p.address.bits();
            sources.push_back({p, SW_FATE_DENY});
        }
    }
    const sw_gate gate = build_gate(sources, key);
    for (const SourceEntry& entry : sources) EXPECT_TRUE(exact_open(gate, key, entry.prefix.address));
    unsigned open = 0;
    for (int i = 0; i < 10'000; i++) open += exact_open(gate, key, random_address(random, SW_IPV4));
    EXPECT_LT(open, 1000u) << "500 of 65536 bits are set; strangers are stopped";
}

TEST_F(GateTest, LetsEveryAddressOfAPrefixThrough) {
    for (const char* text : {"0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/8", "198.18.0.0/15", "203.0.0.0/16",
                             "192.0.2.0/24", "192.0.2.8/31", "::/0", "2000::/3", "2001:d00::/24",
                             "2001:db8::/32", "2001:db8:1::/48", "2001:db8::10/127"}) {
        const Prefix p = *Prefix::parse(text);
        const sw_gate gate = build_gate({{p, SW_FATE_DENY}}, key);
        for (int i = 0; i < 200; i++) {
            Address inside = random_address(random, p.address.family);
            for (unsigned b = 0; b < p.length; b++) {
                const auto mask = static_cast<std::uint8_t>(0x80 >> b % 8);
                inside.bytes[b / 8] = static_cast<std::uint8_t>((inside.bytes[b / 8] & ~mask) |
                                                                (p.address.bytes[b / 8] & mask));
            }
            ASSERT_TRUE(p.contains(inside));
            ASSERT_TRUE(prefix_open(gate, inside)) << text << " " << inside.to_string();
        }
    }
}

TEST_F(GateTest, ShortIpv4PrefixesOpenTheirRangeOnly) {
    const sw_gate gate = build_gate({{*Prefix::parse("198.18.0.0/15"), SW_FATE_DENY}}, key);
    EXPECT_TRUE(prefix_open(gate, *Address::parse("198.18.0.0")));
    EXPECT_TRUE(prefix_open(gate, *Address::parse("198.19.255.255")));
    EXPECT_FALSE(prefix_open(gate, *Address::parse("198.17.255.255")));
    EXPECT_FALSE(prefix_open(gate, *Address::parse("198.20.0.0")));
}

// A key that is odd has an inverse modulo 2^32, by Newton's iteration.
TEST_F(GateTest, TheExactHashOfIpv4IsABijection) {
    std::uint32_t inverse = 1;
    for (int i = 0; i < 5; i++) inverse *= 2 - static_cast<std::uint32_t>(key[HASH_LISTENER]) * inverse;
    for (int i = 0; i < 10'000; i++) {
        const Words source(random_address(random, SW_IPV4));
        const __u64 tag = sw_source_tag(hash_exact(key, source.word, SW_IPV4), SW_IPV4);
        ASSERT_EQ(static_cast<std::uint32_t>(tag >> SW_SOURCE_TAG_SHIFT) * inverse, source.word[0]);
    }
}

// Whatever two addresses differ in: one multiplication for each half would miss some of these
// for every key, as a difference in the upper bit of a word stays there.
TEST_F(GateTest, TheExactHashOfIpv6TellsCloseAddressesApart) {
    for (int round = 0; round < 20; round++) {
        const Address a = random_address(random, SW_IPV6);
        const __u64 hash = hash_exact(key, Words(a).word, SW_IPV6);
        for (unsigned first = 0; first < 128; first++)
            for (unsigned second = 0; second <= first; second++)
                for (unsigned third : {31u, 63u, 95u, 127u}) {
                    Words near(a);
                    near.word[first / 64] ^= 1ULL << first % 64;
                    if (second != first) near.word[second / 64] ^= 1ULL << second % 64;
                    if (third != first && third != second) near.word[third / 64] ^= 1ULL << third % 64;
                    ASSERT_NE(hash_exact(key, near.word, SW_IPV6), hash)
                        << a.to_string() << " with bits " << first << ", " << second << ", " << third;
                }
    }
}

TEST_F(GateTest, AnEmptyListIsAClosedGate) {
    const sw_gate gate = build_gate({}, key);
    const sw_gate zero{};
    EXPECT_EQ(std::memcmp(&gate, &zero, sizeof gate), 0);
    EXPECT_EQ(source_sets({}), 0u);
}

}  // namespace
}  // namespace synward
