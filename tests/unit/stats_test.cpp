// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats.h"

#include <gtest/gtest.h>

namespace synward {
namespace {

TEST(Stats, TotalAddsTheServices) {
    Stats stats;
    stats.services.resize(2);
    stats.services[0].packets[SW_REASON_NOT_IP] = 3;
    stats.services[1].packets[SW_REASON_NOT_IP] = 4;
    stats.services[1].packets[SW_REASON_SYN_ANSWERED] = 5;
    EXPECT_EQ(stats.total()[SW_REASON_NOT_IP], 7u);
    EXPECT_EQ(stats.total()[SW_REASON_SYN_ANSWERED], 5u);
}

TEST(Stats, RatesNeverRunBackwards) {
    Counters before{};
    Counters after{};
    before[SW_REASON_NOT_IP] = 100;
    after[SW_REASON_NOT_IP] = 300;
    before[SW_REASON_BAD_IP] = 50;
    const auto rate = rates(before, after, 0.5);
    EXPECT_DOUBLE_EQ(rate[SW_REASON_NOT_IP], 400.0);
    EXPECT_DOUBLE_EQ(rate[SW_REASON_BAD_IP], 0.0);
    EXPECT_DOUBLE_EQ(rates(before, after, 0.0)[SW_REASON_NOT_IP], 0.0);
}

}  // namespace
}  // namespace synward
