// SPDX-License-Identifier: GPL-2.0-or-later
// The table of exact sources, looked into as xdp/sets.h does.
#include "lib/source_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>

#include "lib/keys.h"
#include "xdp/hash.h"

namespace synward {
namespace {

constexpr unsigned shift = 4;

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
        while (list.size() < count)
            list.push_back(random_source(list.size() % 2 ? SW_FATE_ALLOW : SW_FATE_DENY));
        return list;
    }
    [[nodiscard]] __u64 hash(const Address& a) const {
        __u64 words[2] = {};
        std::memcpy(words, a.bytes.data(), a.bits() / 8);
        return hash_exact(key, words, a.family);
    }
    [[nodiscard]] sw_source_set& set_of(const Address& a) { return sets[hash(a) >> (64 - shift)]; }
    // Nothing: the program would ask the hash map.
    std::optional<unsigned> seen(const Address& a) {
        const __u64 tag = sw_source_tag(hash(a), a.family);
        for (const __u64 entry : set_of(a).entry)
            if (const unsigned fate = sw_source_fate(entry, tag)) return fate;
        if (set_of(a).entry[0] & SW_SOURCE_OVERFLOW) return std::nullopt;
        return SW_FATE_NONE;
    }
    [[nodiscard]] unsigned overflowed() const {
        unsigned count = 0;
        for (const sw_source_set& set : sets) count += (set.entry[0] & SW_SOURCE_OVERFLOW) != 0;
        return count;
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

TEST_F(SourceTableTest, TheFirstOfAWayIsWhereTheProgramLooksFirst) {
    const Address a = *Address::parse("2001:db8::1");
    table.put(a, SW_FATE_DENY);
    EXPECT_TRUE(sw_source_fate(set_of(a).entry[sw_source_way(hash(a))], sw_source_tag(hash(a), a.family)));
}

// Nobody listed is ever missed: found, or the set says that it overflowed.
TEST_F(SourceTableTest, MissesNothingWhenFull) {
    const auto sources = random_sources(2 * SW_SOURCE_WAYS << shift);
    table.fill(sources);
    EXPECT_GT(overflowed(), 0u);
    for (const SourceEntry& s : sources) {
        const auto fate = seen(s.prefix.address);
        EXPECT_TRUE(!fate || *fate == s.fate) << s.prefix.to_string();
    }
    // A full set answers for those that it holds all the same, also after a change.
    auto changed = sources;
    for (SourceEntry& s : changed) s.fate = s.fate == SW_FATE_DENY ? SW_FATE_ALLOW : SW_FATE_DENY;
    const unsigned before = used();
    table.fill(changed);
    EXPECT_EQ(used(), before);
    for (const SourceEntry& s : changed) {
        const auto fate = seen(s.prefix.address);
        EXPECT_TRUE(!fate || *fate == s.fate) << s.prefix.to_string();
    }
}

// A long life of additions and removals, against the list that it should be.
TEST_F(SourceTableTest, SettlesToWhatIsListed) {
    std::vector<SourceEntry> listed;
    for (int turn = 0; turn < 200; turn++) {
        const std::size_t keep = listed.empty() ? 0 : random() % (listed.size() + 1);
        std::shuffle(listed.begin(), listed.end(), random);
        for (std::size_t i = keep; i < listed.size(); i++) table.remove(listed[i].prefix.address);
        const std::vector<SourceEntry> gone(listed.begin() + static_cast<long>(keep), listed.end());
        listed.resize(keep);
        for (const SourceEntry& s : random_sources(random() % 150)) listed.push_back(s);
        table.fill(listed);
        table.settle(listed);
        unsigned members[1 << shift] = {};
        for (const SourceEntry& s : listed) {
            members[hash(s.prefix.address) >> (64 - shift)]++;
            const auto fate = seen(s.prefix.address);
            ASSERT_TRUE(!fate || *fate == s.fate) << "turn " << turn << ": " << s.prefix.to_string();
        }
        for (const SourceEntry& s : gone) {
            const auto fate = seen(s.prefix.address);
            ASSERT_TRUE(!fate || *fate == SW_FATE_NONE) << "turn " << turn << ": " << s.prefix.to_string();
        }
        for (unsigned i = 0; i < 1 << shift; i++)
            ASSERT_EQ((sets[i].entry[0] & SW_SOURCE_OVERFLOW) != 0, members[i] > SW_SOURCE_WAYS)
                << "turn " << turn << ": only sets with more members than ways ask the hash map";
    }
    for (const SourceEntry& s : listed) table.remove(s.prefix.address);
    table.settle({});
    const sw_source_set empty[1 << shift] = {};
    EXPECT_EQ(std::memcmp(sets, empty, sizeof sets), 0);
}

}  // namespace
}  // namespace synward
