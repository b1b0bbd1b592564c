// SPDX-License-Identifier: GPL-2.0-or-later
// Rotating the cookie keys. The reader here is the program's own cookie_master().
#include "lib/keys.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "xdp/cookie.h"

namespace synward {
namespace {

using Key = std::pair<std::uint64_t, std::uint64_t>;

Key key_of(const sw_keyring& ring, std::uint32_t epoch) {
    const __u64* key = cookie_master(&ring, epoch);
    return {key[0], key[1]};
}

void rotate(sw_keyring& ring, const KeyRotation& plan) {
    ring.key[plan.slot][0] = plan.key[0];
    ring.key[plan.slot][1] = plan.key[1];
    ring.since = plan.since;
    ring.active = plan.active;
}

TEST(Keys, TheFirstKeyringHasTwoDifferentKeysAndCanRotateAtOnce) {
    const sw_keyring ring = first_keyring(1000);
    EXPECT_NE(key_of(ring, 1000), key_of(ring, 900));
    EXPECT_TRUE(plan_rotation(ring, 1000));
}

// Every cookie is checked with the key that made it for as long as it is
// accepted: in its epoch and in the next, whenever the rotation happens.
void check_rotations(std::uint32_t first_epoch) {
    sw_keyring ring = first_keyring(first_epoch);
    std::map<std::uint32_t, Key> made;
    unsigned rotations = 0;
    for (std::uint32_t i = 0; i < 200; i++) {
        const std::uint32_t epoch = first_epoch + i;
        made[epoch] = key_of(ring, epoch);
        if (i) {
            ASSERT_EQ(key_of(ring, epoch - 1), made[epoch - 1]) << i;
        }
        // As often as it is allowed: the hardest case.
        if (const auto plan = plan_rotation(ring, epoch)) {
            rotate(ring, *plan);
            rotations++;
            ASSERT_EQ(key_of(ring, epoch), made[epoch]) << i;
            ASSERT_EQ(key_of(ring, epoch + 1), made[epoch]) << "the epoch may change under our hands";
            if (i) {
                ASSERT_EQ(key_of(ring, epoch - 1), made[epoch - 1]) << i;
            }
        }
    }
    EXPECT_GE(rotations, 60u);
    std::map<Key, int> different;
    for (const auto& [epoch, key] : made) different[key]++;
    EXPECT_EQ(different.size(), rotations) << "each rotation brings a fresh key (the last is not in use yet)";
}

TEST(Keys, NoHandshakeIsLostByRotation) {
    check_rotations(5'000);
}
TEST(Keys, NorWhenTheEpochWraps) {
    check_rotations(0xffffffff - 100);
}

TEST(Keys, ARotationTooSoonIsRefused) {
    sw_keyring ring = first_keyring(50);
    rotate(ring, *plan_rotation(ring, 50));
    EXPECT_FALSE(plan_rotation(ring, 50));
    EXPECT_FALSE(plan_rotation(ring, 51));
    EXPECT_FALSE(plan_rotation(ring, 52)) << "cookies of epoch 51 are accepted until epoch 52 ends";
    EXPECT_TRUE(plan_rotation(ring, 53));
}

TEST(Keys, TheTimesAreThoseOfTheEpochs) {
    using namespace std::chrono_literals;
    // Epochs of 16,384 ticks at 250 Hz: 65.536 s.
    for (const std::uint32_t epoch : {50u, 0xfffffffeu}) {
        const std::uint64_t begin = std::uint64_t{epoch} << 14;
        sw_keyring ring = first_keyring(epoch);
        const auto times = [&](std::uint64_t ticks) { return key_times(ring, begin + ticks, 14, 250); };
        EXPECT_EQ(times(0).begins, 0s);
        EXPECT_EQ(times(0).replaceable, 0s) << "at once";
        rotate(ring, *plan_rotation(ring, epoch));
        EXPECT_EQ(times(0).begins, 132s) << "two epochs, rounded up";
        EXPECT_EQ(times(0).replaceable, 197s);
        EXPECT_EQ(times(2 * 16384 - 1).begins, 1s);
        EXPECT_EQ(times(2 * 16384).begins, 0s);
        EXPECT_EQ(times(3 * 16384 - 1).replaceable, 1s);
        EXPECT_FALSE(plan_rotation(ring, epoch + 2));
        EXPECT_EQ(times(3 * 16384).replaceable, 0s);
        EXPECT_TRUE(plan_rotation(ring, epoch + 3));
    }
}

}  // namespace
}  // namespace synward
