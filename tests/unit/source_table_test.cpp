// SPDX-License-Identifier: GPL-2.0-or-later
// The table of exact sources, looked into as xdp/sets.h does.
#include "lib/source_table.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "lib/keys.h"
#include "xdp/hash.h"

namespace synward {
namespace {

constexpr unsigned shift = 8;
constexpr std::size_t capacity = (SW_SOURCE_WAYS / 2) << shift;

class SourceTableTest : public testing::Test {
  protected:
    SourceTableTest() {
        const auto random_key = random_hash_key();
        std::copy(random_key.begin(), random_key.end(), key);
    }
    SourceEntry random_source(sw_fate fate = SW_FATE_DENY) {
        Prefix prefix;
        prefix.address.family = random() % 2 ? SW_IPV6 : SW_IPV4;
        prefix.length = prefix.address.bits();
        for (unsigned i = 0; i < prefix.length / 8; i++)
            prefix.address.bytes[i] = static_cast<std::uint8_t>(random());
        return {prefix, fate};
    }
    std::vector<SourceEntry> random_sources(std::size_t count) {
        std::vector<SourceEntry> list;
        while (list.size() < count) list.push_back(random_source(static_cast<sw_fate>(1 + list.size() % 3)));
        return list;
    }
    [[nodiscard]] __u64 hash(const Address& a, std::uint16_t port = 0) const {
        __u64 words[2] = {};
        std::memcpy(words, a.bytes.data(), a.bits() / 8);
        return hash_exact(key, words, htons(port), a.family);
    }
    [[nodiscard]] sw_source_set& set_of(const Address& a) { return sets[hash(a) >> (64 - shift)]; }
    // As sets_exact() finds it.
    sw_fate seen(const Address& a, std::uint16_t port = 0) {
        const __u64 h = hash(a, port), tag = sw_source_tag(h, a.family);
        const std::uint32_t first = sw_source_index(h, shift);
        for (const std::uint32_t set : {first, sw_source_other(first, h, shift)})
            for (const __u64 entry : sets[set].entry)
                if (const unsigned fate = sw_source_fate(entry, tag)) return static_cast<sw_fate>(fate);
        return SW_FATE_NONE;
    }
    [[nodiscard]] unsigned used() const {
        unsigned count = 0;
        for (const sw_source_set& set : sets)
            for (const __u64 entry : set.entry) count += (entry & SW_SOURCE_FATE) != 0;
        return count;
    }

    __u64 key[8];
    sw_source_set sets[1 << shift] = {};
    SourceTable table{sets, shift, key};
    std::mt19937_64 random{1};
};

TEST_F(SourceTableTest, TellsFatesAndTheirChange) {
    const Address a = *Address::parse("192.0.2.1");
    const Address b = *Address::parse("2001:db8::1");
    EXPECT_TRUE(table.put(a, SW_FATE_DENY));
    EXPECT_TRUE(table.put(b, SW_FATE_ALLOW));
    EXPECT_EQ(seen(a), SW_FATE_DENY);
    EXPECT_EQ(seen(b), SW_FATE_ALLOW);
    EXPECT_TRUE(table.put(a, SW_FATE_ALLOW));
    EXPECT_EQ(seen(a), SW_FATE_ALLOW);
    EXPECT_EQ(used(), 2u) << "a change takes no other way";
    table.remove(a);
    table.remove(a);
    EXPECT_EQ(seen(a), SW_FATE_NONE);
    EXPECT_EQ(seen(b), SW_FATE_ALLOW);
}

TEST_F(SourceTableTest, APortIsAnotherEntry) {
    for (const char* text : {"192.0.2.1", "2001:db8::1"}) {
        const Address a = *Address::parse(text);
        ASSERT_TRUE(table.put(a, SW_FATE_DENY, 443));
        EXPECT_EQ(seen(a), SW_FATE_NONE);
        EXPECT_EQ(seen(a, 443), SW_FATE_DENY);
        EXPECT_EQ(seen(a, 0xbb01), SW_FATE_NONE) << "443 in the other order of bytes";
        ASSERT_TRUE(table.put(a, SW_FATE_ALLOW));
        EXPECT_EQ(table.find(a, 443), SW_FATE_DENY);
        EXPECT_EQ(table.find(a), SW_FATE_ALLOW);
        table.remove(a, 443);
        EXPECT_EQ(seen(a, 443), SW_FATE_NONE);
        EXPECT_EQ(seen(a), SW_FATE_ALLOW);
    }
}

// Few addresses and many ports spread over the table as many addresses do.
TEST_F(SourceTableTest, HoldsItsCapacityOfPorts) {
    for (unsigned i = 0; i < capacity; i++) {
        Address a = *Address::parse(i % 2 ? "192.0.2.0" : "2001:db8::");
        a.bytes[i % 2 ? 3 : 15] = static_cast<std::uint8_t>(i / 2 % 4);
        ASSERT_TRUE(table.put(a, SW_FATE_DENY, 1 + i / 8)) << i << " of " << capacity;
    }
    EXPECT_EQ(used(), capacity);
}

TEST_F(SourceTableTest, TheFirstOfAWayIsWhereTheProgramLooksFirst) {
    const Address a = *Address::parse("2001:db8::1");
    ASSERT_TRUE(table.put(a, SW_FATE_DENY));
    EXPECT_TRUE(sw_source_fate(set_of(a).entry[sw_source_way(hash(a))], sw_source_tag(hash(a), a.family)));
}

TEST_F(SourceTableTest, TheOtherSetIsAnotherAndLeadsBack) {
    for (int i = 0; i < 10'000; i++) {
        const __u64 h = random();
        for (const unsigned bits : {1u, 4u, 15u, 22u, 31u}) {
            const std::uint32_t first = sw_source_index(h, bits), other = sw_source_other(first, h, bits);
            ASSERT_NE(first, other);
            ASSERT_LT(other, 1u << bits);
            ASSERT_EQ(sw_source_other(other, h, bits), first);
        }
    }
}

// Half full it takes whoever comes; beyond, it says when it is full, and forgets nobody.
TEST_F(SourceTableTest, HoldsItsCapacityAndSaysWhenItIsFull) {
    std::vector<SourceEntry> held;
    for (const SourceEntry& s : random_sources(capacity)) {
        ASSERT_TRUE(table.insert(s.prefix.address, s.fate)) << held.size() << " of " << capacity;
        held.push_back(s);
    }
    bool full = false;
    for (const SourceEntry& s : random_sources(2 * capacity)) {
        const unsigned before = used();
        if (table.put(s.prefix.address, s.fate)) {
            held.push_back(s);
        } else {
            full = true;
            ASSERT_EQ(used(), before);
            ASSERT_EQ(seen(s.prefix.address), SW_FATE_NONE);
        }
    }
    EXPECT_TRUE(full);
    EXPECT_EQ(used(), held.size());
    for (const SourceEntry& s : held) ASSERT_EQ(seen(s.prefix.address), s.fate) << s.prefix.to_string();
}

// A long life of additions, changes and removals at full capacity, against the list that it should be.
TEST_F(SourceTableTest, HoldsWhatIsListed) {
    std::vector<SourceEntry> listed;
    for (int turn = 0; turn < 200; turn++) {
        const std::size_t keep = listed.empty() ? 0 : random() % (listed.size() + 1);
        std::shuffle(listed.begin(), listed.end(), random);
        const std::vector<SourceEntry> gone(listed.begin() + static_cast<long>(keep), listed.end());
        for (const SourceEntry& s : gone) table.remove(s.prefix.address);
        listed.resize(keep);
        for (SourceEntry& s : listed) {
            if (random() % 4) continue;
            s.fate = s.fate == SW_FATE_DENY ? SW_FATE_ALLOW : SW_FATE_DENY;
            ASSERT_TRUE(table.put(s.prefix.address, s.fate));
        }
        for (const SourceEntry& s : random_sources(random() % (capacity - listed.size() + 1))) {
            ASSERT_TRUE(table.put(s.prefix.address, s.fate)) << listed.size();
            listed.push_back(s);
        }
        ASSERT_EQ(used(), listed.size());
        for (const SourceEntry& s : listed) {
            ASSERT_EQ(seen(s.prefix.address), s.fate) << "turn " << turn << ": " << s.prefix.to_string();
            ASSERT_EQ(table.find(s.prefix.address), s.fate);
        }
        for (const SourceEntry& s : gone) ASSERT_EQ(seen(s.prefix.address), SW_FATE_NONE);
    }
    for (const SourceEntry& s : listed) table.remove(s.prefix.address);
    EXPECT_EQ(used(), 0u);
}

// Neighbours, as in a list of a network's hosts: they must not crowd together.
TEST_F(SourceTableTest, NeighboursFitUnderEveryKey) {
    int full = 0;
    for (int round = 0; round < 500; round++) {
        const auto random_key = random_hash_key();
        std::copy(random_key.begin(), random_key.end(), key);
        std::fill(std::begin(sets), std::end(sets), sw_source_set{});
        Address address = *Address::parse("11.0.0.0");
        const auto move_to = [&](std::size_t i) {
            address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
            address.bytes[3] = static_cast<std::uint8_t>(i);
        };
        std::size_t held = 0;
        for (; held < capacity; held++) {
            move_to(held);
            if (!table.insert(address, SW_FATE_DENY)) break;
        }
        full += held < capacity;
        ASSERT_GT(held, capacity / 2) << "round " << round;
        for (std::size_t i = 0; i < held; i += 97) {
            move_to(i);
            ASSERT_EQ(seen(address), SW_FATE_DENY);
        }
    }
    EXPECT_EQ(full, 0);
}

}  // namespace
}  // namespace synward
