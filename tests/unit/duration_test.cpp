// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include "lib/config.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

TEST(Duration, KnowsItsUnits) {
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("10s"), 10s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("30d"), 720h);
    EXPECT_EQ(parse_duration("0s"), 0s);
    EXPECT_EQ(parse_duration("4294967295d"), std::chrono::milliseconds(4294967295LL * 86'400'000));
}

TEST(Duration, RefusesEverythingElse) {
    for (const char* text : {"", "10", "s", "10 s", " 10s", "10s ", "-1s", "+1s", "1.5s", "10S", "1h30m",
                             "4294967296s", "0x10s", "10us"})
        EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Duration, PrintsTheShortestFormThatReadsBack) {
    EXPECT_EQ(duration_text(1h), "1h");
    EXPECT_EQ(duration_text(90min), "90m");
    EXPECT_EQ(duration_text(1500ms), "1500ms");
    EXPECT_EQ(duration_text(24h), "1d");
    EXPECT_EQ(duration_text(0ms), "0s");
    for (const auto value : {1ms, 999ms, 1000ms, 61'000ms, 3'600'000ms, 86'400'001ms})
        EXPECT_EQ(parse_duration(duration_text(value)), value);
}

}  // namespace
}  // namespace synward
