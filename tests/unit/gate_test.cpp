// SPDX-License-Identifier: GPL-2.0-or-later
// The gate's bits: what the library sets is what the program looks at; and the hash
// of the exact sources behind it. xdp/hash.h is compiled here in user space.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <unordered_set>
#include <vector>

#include "lib/keys.h"
#include "lib/policy.h"
#include "lib/source_table.h"
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

// The gates of one generation, as sets_fate() asks them.
struct Gate {
    Gate(std::initializer_list<SourceEntry> entries, const __u64 (&hash_key)[8], unsigned bits = SW_GATE_BITS)
        : key(hash_key), shift(bits), exact((std::size_t{1} << bits) / 64), memory(new sw_gate{}) {
        add(entries);
    }
    void add(std::span<const SourceEntry> entries) {
        SourceGate gate(exact.data(), shift, memory->prefix[1], key);
        for (const SourceEntry& e : entries) gate.open(e.prefix);
    }
    [[nodiscard]] bool exact_open(const Address& a) const {
        __u64 bits;
        const std::uint32_t word = hash_gate_exact(key, Words(a).word, shift, &bits, a.family);
        return !(bits & ~exact[word]);
    }
    [[nodiscard]] bool prefix_open(const Address& a) const {
        return bit(memory->prefix[1][a.family], hash_gate_prefix(Words(a).word, a.family));
    }
    const __u64 (&key)[8];
    unsigned shift;
    std::vector<__u64> exact;
    std::unique_ptr<sw_gate> memory;
};

struct GateTest : testing::Test {
    GateTest() {
        const auto random_key = random_hash_key();
        std::copy(random_key.begin(), random_key.end(), key);
    }
    __u64 key[8];
    std::mt19937_64 random{1};
};

TEST_F(GateTest, LetsEveryListedSourceThroughAtEverySize) {
    for (const unsigned shift : {16u, 17u, 21u, 24u}) {
        std::vector<SourceEntry> sources;
        for (std::size_t i = 0; i < std::size_t{1} << (shift - 5); i++) {
            for (const sw_family family : {SW_IPV4, SW_IPV6}) {
                Prefix p{random_address(random, family), 0};
                p.length = p.address.bits();
                sources.push_back({p, SW_FATE_DENY});
            }
        }
        ASSERT_EQ(SourceGate::shift_for(sources.size(), 30), shift);
        Gate gate({}, key, shift);
        gate.add(sources);
        for (const SourceEntry& entry : sources) ASSERT_TRUE(gate.exact_open(entry.prefix.address));
        for (const sw_family family : {SW_IPV4, SW_IPV6}) {
            unsigned open = 0;
            for (int i = 0; i < 10'000; i++) open += gate.exact_open(random_address(random, family));
            EXPECT_LT(open, 300u) << "of four entries for each word on average, strangers meet 2 %";
        }
    }
}

TEST_F(GateTest, HasSixteenBitsForEachEntry) {
    EXPECT_EQ(SourceGate::shift_for(0, 30), 16u);
    EXPECT_EQ(SourceGate::shift_for(4096, 30), 16u);
    EXPECT_EQ(SourceGate::shift_for(4097, 30), 17u);
    EXPECT_EQ(SourceGate::shift_for(1 << 20, 24), 24u);
}

TEST_F(GateTest, LetsEveryAddressOfAPrefixThrough) {
    for (const char* text : {"0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/8", "198.18.0.0/15", "203.0.0.0/16",
                             "192.0.2.0/24", "192.0.2.8/31", "::/0", "2000::/3", "2001:d00::/24",
                             "2001:db8::/32", "2001:db8:1::/48", "2001:db8::10/127"}) {
        const Prefix p = *Prefix::parse(text);
        const Gate gate({{p, SW_FATE_DENY}}, key);
        for (int i = 0; i < 200; i++) {
            Address inside = random_address(random, p.address.family);
            for (unsigned b = 0; b < p.length; b++) {
                const auto mask = static_cast<std::uint8_t>(0x80 >> b % 8);
                inside.bytes[b / 8] = static_cast<std::uint8_t>((inside.bytes[b / 8] & ~mask) |
                                                                (p.address.bytes[b / 8] & mask));
            }
            ASSERT_TRUE(p.contains(inside));
            ASSERT_TRUE(gate.prefix_open(inside)) << text << " " << inside.to_string();
        }
    }
}

TEST_F(GateTest, ShortIpv4PrefixesOpenTheirRangeOnly) {
    const Gate gate({{*Prefix::parse("198.18.0.0/15"), SW_FATE_DENY}}, key);
    EXPECT_TRUE(gate.prefix_open(*Address::parse("198.18.0.0")));
    EXPECT_TRUE(gate.prefix_open(*Address::parse("198.19.255.255")));
    EXPECT_FALSE(gate.prefix_open(*Address::parse("198.17.255.255")));
    EXPECT_FALSE(gate.prefix_open(*Address::parse("198.20.0.0")));
}

// A key that is odd has an inverse modulo 2^48, by Newton's iteration.
TEST_F(GateTest, TheExactHashOfIpv4AndPortIsABijection) {
    constexpr __u64 mask = (1ULL << 48) - 1;
    const auto inverse = [](__u64 odd) {
        __u64 result = 1;
        for (int i = 0; i < 6; i++) result *= 2 - odd * result;
        return result;
    };
    for (int i = 0; i < 10'000; i++) {
        const Words source(random_address(random, SW_IPV4));
        const auto port = static_cast<std::uint16_t>(i % 2 ? random() : 0);
        const __u64 tag = sw_source_tag(hash_exact(key, source.word, port, SW_IPV4), SW_IPV4);
        const __u64 mixed = (tag >> SW_SOURCE_TAG_SHIFT) * inverse(key[HASH_LISTENER2]) & mask;
        const __u64 product = mixed ^ mixed >> 24;  // its own inverse, by half of the bits
        ASSERT_EQ(product * inverse(key[HASH_LISTENER]) & mask, source.word[0] | __u64{port} << 32);
    }
}

// Whatever two addresses differ in: one multiplication for each half would miss some of these
// for every key, as a difference in the upper bit of a word stays there.
TEST_F(GateTest, TheExactHashOfIpv6TellsCloseAddressesApart) {
    for (int round = 0; round < 20; round++) {
        const Address a = random_address(random, SW_IPV6);
        const __u64 hash = hash_exact(key, Words(a).word, 0, SW_IPV6);
        for (unsigned first = 0; first < 128; first++)
            for (unsigned second = 0; second <= first; second++)
                for (unsigned third : {31u, 63u, 95u, 127u}) {
                    Words near(a);
                    near.word[first / 64] ^= 1ULL << first % 64;
                    if (second != first) near.word[second / 64] ^= 1ULL << second % 64;
                    if (third != first && third != second) near.word[third / 64] ^= 1ULL << third % 64;
                    ASSERT_NE(hash_exact(key, near.word, 0, SW_IPV6), hash)
                        << a.to_string() << " with bits " << first << ", " << second << ", " << third;
                }
    }
}

// Of one address at all ports, and beside it an address that differs where a port does.
TEST_F(GateTest, TheExactHashOfIpv6TellsPortsApart) {
    for (int round = 0; round < 5; round++) {
        const Address a = random_address(random, SW_IPV6);
        std::unordered_set<__u64> hashes;
        for (__u32 port = 0; port < 65536; port++)
            for (const unsigned word : {0u, 1u}) {
                Words near(a);
                near.word[word] ^= port;
                ASSERT_TRUE(hashes.insert(hash_exact(key, Words(a).word, port, SW_IPV6)).second || word);
                if (!port) continue;
                ASSERT_TRUE(hashes.insert(hash_exact(key, near.word, 0, SW_IPV6)).second) << port;
                ASSERT_TRUE(hashes.insert(hash_exact(key, near.word, port, SW_IPV6)).second) << port;
            }
    }
}

// Addresses that differ in few bits, anywhere: the listener cache must not take one for another.
TEST_F(GateTest, ListenersOfIpv6AreToldApart) {
    for (int round = 0; round < 20; round++) {
        const Address a = random_address(random, SW_IPV6);
        const __u64 tag = hash_listener(key, Words(a).word, 80u << 16, SW_IPV6);
        EXPECT_NE(hash_listener(key, Words(a).word, 81u << 16, SW_IPV6), tag);
        for (unsigned first = 0; first < 128; first++)
            for (unsigned second = 0; second <= first; second++) {
                Words near(a);
                near.word[first / 64] ^= 1ULL << first % 64;
                if (second != first) near.word[second / 64] ^= 1ULL << second % 64;
                ASSERT_NE(hash_listener(key, near.word, 80u << 16, SW_IPV6), tag)
                    << a.to_string() << " with bits " << first << ", " << second;
            }
    }
}

}  // namespace
}  // namespace synward
