// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json.h"

#include <gtest/gtest.h>

#include "lib/reasons.h"

namespace synward {
namespace {

TEST(Json, StatsLeaveOutWhatNeverHappenedUnlessAsked) {
    Stats stats;
    stats.services.push_back({.index = 0});
    stats.services.push_back({.index = 2, .name = "web"});
    stats.services[1].packets[SW_REASON_SYN_ANSWERED] = 9;
    const auto json = stats_json(stats);
    EXPECT_EQ(json["total"].size(), 1u);
    EXPECT_EQ(json["total"]["syn_answered"], 9);
    EXPECT_TRUE(json["services"][0]["name"].is_null());
    EXPECT_EQ(json["services"][1]["name"], "web");
    EXPECT_EQ(stats_json(stats, true)["total"].size(), reasons.size());
}

TEST(Json, ServicesTellPolicyAndState) {
    Config config;
    config.services.push_back({.name = "web", .ports = {80}});
    config.services.push_back({.name = "ssh", .ports = {22}, .addresses = {*Address::parse("2001:db8::1")}});
    config.services[1].settings.mode = SW_MODE_COOKIE;
    HostFacts host;
    host.reqsk = true;
    const auto policy = compile_policy(config, host, Interface{});
    ASSERT_TRUE(policy);
    std::vector<ServiceState> states(SW_SERVICES);
    states[1].armed = true;
    states[1].syn_rate = 1234;
    const auto json = services_json(*policy, states);
    ASSERT_EQ(json.size(), 2u);
    EXPECT_EQ(json[0]["mode"], "auto");
    EXPECT_EQ(json[0]["delivery"], "reqsk");
    EXPECT_EQ(json[0]["ports"], nlohmann::json::array({80}));
    EXPECT_EQ(json[0]["armed"], true);
    EXPECT_EQ(json[0]["syn_rate"], 1234);
    EXPECT_EQ(json[0]["mss"]["ipv4"], 1460);
    EXPECT_EQ(json[1]["mode"], "cookie");
    EXPECT_EQ(json[1]["addresses"][0]["address"], "2001:db8::1");
    EXPECT_EQ(json[1]["addresses"][0]["port"], 22);
}

TEST(Json, Findings) {
    const auto json = findings_json({{Severity::warning, "eth0", "what", "how"}});
    EXPECT_EQ(json[0]["severity"], "warning");
    EXPECT_EQ(json[0]["fix"], "how");
}

}  // namespace
}  // namespace synward
