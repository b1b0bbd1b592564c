// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/traffic.h"

#include <gtest/gtest.h>

namespace synward::cli {
namespace {

struct TrafficTest : testing::Test {
    Counters before{}, after{};
    sw_config config{};
    sw_service service{};
    [[nodiscard]] Traffic measure(const sw_service* s) const { return traffic(before, after, 2, config, s); }
};

TEST_F(TrafficTest, EveryPacketCountsOnce) {
    after[SW_REASON_SYN_ANSWERED] = 200;
    after[SW_REASON_ACK_VALIDATED] = 100;
    after[SW_REASON_TC_ASSIGNED] = 100;  // the same packets
    after[SW_REASON_FLOW_KNOWN] = 300;
    const Traffic t = measure(&service);
    EXPECT_EQ(t.packets, 300);
    EXPECT_EQ(t.answered, 100);
    EXPECT_EQ(t.validated, 50);
    EXPECT_EQ(t.dropped, 0);
}

TEST_F(TrafficTest, WhatTheServiceSaysDecidesWhatIsDropped) {
    after[SW_REASON_STRAY_ACK] = 20;
    after[SW_REASON_BAD_TCP] = 4;
    after[SW_REASON_FRAGMENT] = 2;
    after[SW_REASON_SYN_OVER_PREFIX] = 6;
    EXPECT_EQ(measure(&service).strays, 10);
    EXPECT_EQ(measure(&service).dropped, 3);
    service.stray = SW_ACTION_DROP;
    EXPECT_EQ(measure(&service).dropped, 13);
    service.malformed = SW_ACTION_DROP;
    EXPECT_EQ(measure(&service).dropped, 15);
    service.fragment = SW_ACTION_DROP;
    EXPECT_EQ(measure(&service).dropped, 16);
    service.stray = SW_ACTION_ESCALATE;
    EXPECT_EQ(measure(&service).dropped, 6);
}

TEST_F(TrafficTest, WithoutAServiceTheInterfaceDecides) {
    after[SW_REASON_BAD_IP] = 4;
    EXPECT_EQ(measure(nullptr).dropped, 0);
    config.malformed = SW_ACTION_DROP;
    EXPECT_EQ(measure(nullptr).dropped, 2);
}

TEST_F(TrafficTest, MonitorDropsNothing) {
    service.mode = SW_MODE_MONITOR;
    service.stray = SW_ACTION_DROP;
    after[SW_REASON_STRAY_ACK] = 20;
    EXPECT_EQ(measure(&service).dropped, 0);
}

TEST_F(TrafficTest, CountersThatStartedAnewGiveNothing) {
    before[SW_REASON_SYN_ANSWERED] = 1000;
    after[SW_REASON_SYN_ANSWERED] = 5;
    EXPECT_EQ(measure(&service).answered, 0);
}

}  // namespace
}  // namespace synward::cli
