// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/names.h"

#include <gtest/gtest.h>

#include <set>

#include "lib/reasons.h"

namespace synward {
namespace {

TEST(Names, EveryWordReadsBack) {
    for (unsigned i = 0; i < SW_MODE_COUNT; i++) EXPECT_EQ(parse_mode(mode_name(i)), static_cast<sw_mode>(i));
    for (unsigned i = 0; i < SW_DELIVERY_COUNT; i++)
        EXPECT_EQ(parse_delivery(delivery_name(i)), static_cast<sw_delivery>(i));
    for (unsigned i = 0; i < SW_ACTION_COUNT; i++)
        EXPECT_EQ(parse_action(action_name(i)), static_cast<sw_action>(i));
    EXPECT_FALSE(parse_mode("Auto"));
    EXPECT_EQ(mode_name(SW_MODE_COUNT), "unknown");
    EXPECT_EQ(event_name(SW_EVENT_DISARMED), "disarmed");
}

TEST(Names, Options) {
    EXPECT_EQ(options_text(0), "none");
    EXPECT_EQ(options_text(SW_OPTION_SACK | SW_OPTION_WSCALE), "sack, wscale");
}

TEST(Reasons, AreNamedOnceAndFoundByName) {
    std::set<std::string_view> names;
    for (unsigned i = 0; i < reasons.size(); i++) {
        EXPECT_TRUE(names.insert(reasons[i].name).second) << reasons[i].name;
        EXPECT_FALSE(reasons[i].text.empty());
        EXPECT_EQ(find_reason(reasons[i].name), static_cast<sw_reason>(i));
    }
    EXPECT_EQ(reason_name(SW_REASON_SYN_ANSWERED), "syn_answered");
    EXPECT_EQ(reasons[SW_REASON_SYN_ANSWERED].action, ReasonAction::TX);
    EXPECT_EQ(reason_action_name(reasons[SW_REASON_SOURCE_DENIED].action), "drop");
    EXPECT_EQ(reason_name(SW_REASON_COUNT), "unknown");
    EXPECT_FALSE(find_reason("SYN_ANSWERED"));
}

}  // namespace
}  // namespace synward
