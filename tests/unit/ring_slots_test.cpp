// SPDX-License-Identifier: GPL-2.0-or-later
// The state machine of the ring's slots (lib/abi/ring_slots.h), as the module
// uses it, against a plain model.
#include "lib/abi/ring_slots.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace synward {
namespace {

class Slots {
  public:
    Slots(unsigned shift, std::uint64_t first, std::uint64_t most_bytes = 1 << 20)
        : memory_(std::size_t{1} << shift) {
        sw_slots_init(&slots, memory_.data(), shift, most_bytes);
        slots.head = slots.tail = slots.seen = first;
    }
    sw_slots slots;

  private:
    std::vector<sw_slot> memory_;
};

TEST(RingSlots, ATakenSlotIsFoundOnceByItsName) {
    Slots s(2, 0);
    const std::uint64_t sequence = sw_slots_take(&s.slots, 100, 50);
    const __u32 slot = sw_slots_index(&s.slots, sequence);
    const __u32 generation = sw_slots_generation(&s.slots, sequence);
    EXPECT_EQ(sw_slots_find(&s.slots, slot, generation), sequence);
    EXPECT_EQ(sw_slots_find(&s.slots, slot, generation + 1), SW_SEQUENCE_NONE);
    EXPECT_EQ(sw_slots_find(&s.slots, slot + 1, generation), SW_SEQUENCE_NONE);
    EXPECT_EQ(sw_slots_find(&s.slots, 4, generation), SW_SEQUENCE_NONE) << "beyond the slots";
    EXPECT_EQ(sw_slots_find(&s.slots, ~0u, generation), SW_SEQUENCE_NONE);
    sw_slots_release(&s.slots, slot);
    EXPECT_EQ(sw_slots_find(&s.slots, slot, generation), SW_SEQUENCE_NONE) << "a second verdict";
    EXPECT_EQ(s.slots.bytes, 0u);
}

TEST(RingSlots, AnAllZeroVerdictNamesNothing) {
    for (const std::uint64_t first :
         {std::uint64_t{0}, std::uint64_t{0xffffffff} << 2, ~std::uint64_t{0} - 8}) {
        Slots s(2, first);
        for (int i = 0; i < 4; ++i) sw_slots_take(&s.slots, 1, 1);
        EXPECT_EQ(sw_slots_find(&s.slots, 0, 0), SW_SEQUENCE_NONE) << first;
    }
}

TEST(RingSlots, ANameOfTheUseBeforeIsStale) {
    Slots s(1, 0);
    const std::uint64_t old = sw_slots_take(&s.slots, 1, 1);
    sw_slots_release(&s.slots, 0);
    sw_slots_take(&s.slots, 1, 1);
    const std::uint64_t now = sw_slots_take(&s.slots, 1, 1);
    ASSERT_EQ(sw_slots_index(&s.slots, now), sw_slots_index(&s.slots, old));
    EXPECT_EQ(sw_slots_find(&s.slots, 0, sw_slots_generation(&s.slots, old)), SW_SEQUENCE_NONE);
    EXPECT_EQ(sw_slots_find(&s.slots, 0, sw_slots_generation(&s.slots, now)), now);
}

TEST(RingSlots, FullCountsWhatTailHasNotPassed) {
    Slots s(2, 0);
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(sw_slots_full(&s.slots));
        sw_slots_take(&s.slots, 1, 1);
    }
    EXPECT_TRUE(sw_slots_full(&s.slots));
    sw_slots_release(&s.slots, 1);
    EXPECT_TRUE(sw_slots_full(&s.slots)) << "the oldest still holds the ring";
    sw_slots_release(&s.slots, 0);
    EXPECT_FALSE(sw_slots_full(&s.slots));
    EXPECT_EQ(s.slots.tail, 2u);
}

TEST(RingSlots, BytesAreCapped) {
    Slots s(2, 0, 1000);
    sw_slots_take(&s.slots, 900, 1);
    EXPECT_TRUE(sw_slots_over(&s.slots, 101));
    EXPECT_FALSE(sw_slots_over(&s.slots, 100));
    EXPECT_TRUE(sw_slots_over(&s.slots, ~0u)) << "no wrap-around";
}

TEST(RingSlots, DeadlinesPassInOrderOfArrivalAlsoWhereTheClockWraps) {
    Slots s(2, 0);
    const __u64 late = ~0ULL - 5;
    sw_slots_take(&s.slots, 1, late);
    sw_slots_take(&s.slots, 1, late + 10);
    EXPECT_EQ(sw_slots_expired(&s.slots, late - 1, 0), SW_SEQUENCE_NONE);
    EXPECT_EQ(sw_slots_expired(&s.slots, late, 0), 0u);
    sw_slots_release(&s.slots, 0);
    EXPECT_EQ(sw_slots_expired(&s.slots, late + 9, 0), SW_SEQUENCE_NONE);
    EXPECT_EQ(sw_slots_expired(&s.slots, late + 9, 1), 1u) << "all, as when the reader goes";
    EXPECT_EQ(sw_slots_expired(&s.slots, late + 10, 0), 1u);
    sw_slots_release(&s.slots, 1);
    EXPECT_EQ(sw_slots_expired(&s.slots, late + 99, 1), SW_SEQUENCE_NONE);
}

TEST(RingSlots, WhatAVerdictNamedIsSeen) {
    Slots s(3, 0);
    for (int i = 0; i < 4; ++i) sw_slots_take(&s.slots, 1, 1);
    EXPECT_EQ(sw_slots_unseen(&s.slots), 4u);
    sw_slots_note(&s.slots, 2);
    EXPECT_EQ(sw_slots_unseen(&s.slots), 1u);
    sw_slots_note(&s.slots, 0);
    EXPECT_EQ(sw_slots_unseen(&s.slots), 1u) << "an older one changes nothing";
    for (__u32 i = 0; i < 4; ++i) sw_slots_release(&s.slots, i);
    EXPECT_EQ(sw_slots_unseen(&s.slots), 0u) << "expired without a verdict";
}

// Any sequence of takes, verdicts (good, stale, made up) and deadlines, where the
// sequence numbers begin: every packet ends exactly once, in order of deadlines,
// bytes are accounted for, and nothing but its own name finds a packet.
class RingSlotsProperty : public testing::TestWithParam<std::tuple<unsigned, std::uint64_t>> {};

TEST_P(RingSlotsProperty, EveryPacketIsDecidedExactlyOnce) {
    const auto [shift, first] = GetParam();
    Slots s(shift, first);
    std::mt19937_64 random(first * 31 + shift);
    std::map<std::uint64_t, std::uint32_t> held;  // distance from `first` -> bytes
    std::uint64_t now = 1000, ended = 0, taken = 0;
    std::vector<std::pair<__u32, __u32>> gone;  // names of packets that ended

    const auto end = [&](std::uint64_t sequence) {
        const std::uint64_t distance = sequence - first;
        ASSERT_EQ(held.count(distance), 1u) << "ended twice, or never there";
        gone.emplace_back(sw_slots_index(&s.slots, sequence), sw_slots_generation(&s.slots, sequence));
        sw_slots_release(&s.slots, sw_slots_index(&s.slots, sequence));
        held.erase(distance);
        ++ended;
    };
    for (int step = 0; step < 20000; ++step) {
        now += random() % 4;
        switch (random() % 5) {
            case 0:
            case 1: {
                const auto bytes = static_cast<std::uint32_t>(random() % 70000);
                if (sw_slots_full(&s.slots) || sw_slots_over(&s.slots, bytes)) break;
                const std::uint64_t sequence = sw_slots_take(&s.slots, bytes, now + 200);
                ASSERT_EQ(sequence - first, taken) << "numbers are given out in order";
                held[taken++] = bytes;
                break;
            }
            case 2: {  // a verdict for some packet that is held
                if (held.empty()) break;
                auto it = held.begin();
                std::advance(it, static_cast<std::ptrdiff_t>(random() % held.size()));
                const std::uint64_t sequence = first + it->first;
                const std::uint64_t found = sw_slots_find(&s.slots, sw_slots_index(&s.slots, sequence),
                                                          sw_slots_generation(&s.slots, sequence));
                ASSERT_EQ(found, sequence);
                sw_slots_note(&s.slots, sequence);
                end(found);
                break;
            }
            case 3: {  // a stale verdict, or garbage
                auto [slot, generation] = gone.empty() || random() % 2
                                              ? std::pair<__u32, __u32>(random() % 300, random() % 5)
                                              : gone[random() % gone.size()];
                const std::uint64_t found = sw_slots_find(&s.slots, slot, generation);
                if (found == SW_SEQUENCE_NONE) break;
                // made up, but the very name of a held packet: then it is that packet
                ASSERT_EQ(held.count(found - first), 1u);
                ASSERT_EQ(sw_slots_index(&s.slots, found), slot);
                ASSERT_EQ(sw_slots_generation(&s.slots, found), generation);
                break;
            }
            default:
                for (std::uint64_t n; (n = sw_slots_expired(&s.slots, now, 0)) != SW_SEQUENCE_NONE;) {
                    ASSERT_EQ(n - first, held.begin()->first) << "not the oldest";
                    end(n);
                }
        }
        std::uint64_t bytes = 0;
        for (const auto& [distance, size] : held) bytes += size;
        ASSERT_EQ(s.slots.bytes, bytes);
        ASSERT_EQ(s.slots.head - first, taken);
        ASSERT_EQ(s.slots.tail - first, held.empty() ? taken : held.begin()->first);
        ASSERT_LE(sw_slots_unseen(&s.slots), s.slots.head - s.slots.tail);
        ASSERT_LE(s.slots.head - s.slots.tail, s.slots.mask + 1ULL);
    }
    for (std::uint64_t n; (n = sw_slots_expired(&s.slots, now, 1)) != SW_SEQUENCE_NONE;) end(n);
    EXPECT_EQ(ended, taken);
    EXPECT_GT(taken, 2000u);
    EXPECT_EQ(s.slots.bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    FromWhereverItBegins, RingSlotsProperty,
    testing::Combine(testing::Values(1u, 3u, 6u),
                     testing::Values(std::uint64_t{0}, (std::uint64_t{1} << 32) - 40,  // sequence, low half
                                     (std::uint64_t{1} << 35) - 40,  // generation of 8 slots
                                     (std::uint64_t{1} << 38) - 4000)));

}  // namespace
}  // namespace synward
