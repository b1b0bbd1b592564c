// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/listeners.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "daemon/listeners.h"

namespace synward {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Address at(const char* text) {
    return *Address::parse(text);
}

std::vector<std::string> names_of(const std::vector<ServiceConfig>& services) {
    std::vector<std::string> names;
    for (const ServiceConfig& s : services) names.push_back(s.name);
    return names;
}

const LocalAddresses eth0{
    .index = 2,
    .beyond = {9},
    .prefixes = {{at("192.0.2.1"), 32}, {at("203.0.113.0"), 24}, {at("2001:db8::1"), 128}}};

TEST(ListeningServices, WhatIsReachableIsProtectedWithTheDefaults) {
    Config config;
    config.defaults.mode = SW_MODE_COOKIE;
    const auto found = listening_services({{at("0.0.0.0"), 80, 0},
                                           {at("::"), 80, 0},
                                           {at("192.0.2.1"), 443, 0},
                                           {at("2001:db8::1"), 443, 0},
                                           {at("127.0.0.1"), 25, 0},
                                           {at("127.0.1.1"), 26, 0},
                                           {at("::1"), 631, 0},
                                           {at("198.51.100.1"), 8080, 0},
                                           {at("203.0.113.7"), 8081, 0},
                                           {at("0.0.0.0"), 179, 3},
                                           {at("0.0.0.0"), 180, 9},
                                           {at("203.0.113.7"), 180, 9},
                                           {at("0.0.0.0"), 2222, 2}},
                                          eth0, config);
    ASSERT_THAT(names_of(found.services), ElementsAre("port-80", "port-443", "port-2222", "port-8081"));
    EXPECT_THAT(found.services[3].addresses, ElementsAre(at("203.0.113.7")))
        << "of a prefix all of which is local";
    EXPECT_THAT(found.beyond, ElementsAre(180)) << "bound to a device that the packets pass later";
    EXPECT_THAT(found.services[0].addresses, IsEmpty());
    EXPECT_THAT(found.services[1].addresses, ElementsAre(at("192.0.2.1"), at("2001:db8::1")));
    EXPECT_EQ(found.services[1].settings.mode, SW_MODE_COOKIE);
    EXPECT_THAT(found.unprotected, IsEmpty());
}

TEST(ListeningServices, ConfiguredPortsKeepTheirOwnSettings) {
    Config config;
    ServiceConfig web{.name = "web", .ports = {80, 443}};
    web.settings.mode = SW_MODE_MONITOR;
    config.services.push_back(web);
    const auto found = listening_services({{at("0.0.0.0"), 80, 0}, {at("0.0.0.0"), 22, 0}}, eth0, config);
    ASSERT_THAT(names_of(found.services), ElementsAre("web", "port-22"));
    EXPECT_EQ(found.services[0].settings.mode, SW_MODE_MONITOR);
}

TEST(ListeningServices, WhatDoesNotFitIsTold) {
    std::vector<Listener> listeners;
    for (std::uint16_t port = 1; port <= 300; port++) listeners.push_back({at("0.0.0.0"), port, 0});
    const auto found = listening_services(listeners, eth0, Config{});
    EXPECT_EQ(found.services.size(), SW_SERVICES - 1u);
    EXPECT_EQ(found.unprotected.size(), 45u);
    EXPECT_EQ(found.unprotected.front(), 256);
}

class Following : public ::testing::Test {
  protected:
    Following() {
        host_.reqsk = true;
        interface_.name = "eth0";
        interface_.index = 2;
        ServiceConfig web{.name = "web", .ports = {80}};
        config_.services.push_back(web);
    }
    Config effective(const std::vector<Listener>& listeners) const {
        Config result = config_;
        result.services = listening_services(listeners, eth0, config_).services;
        return result;
    }
    CompiledPolicy first(const std::vector<Listener>& listeners) {
        auto policy = compile_policy(effective(listeners), host_, interface_);
        EXPECT_TRUE(policy) << policy.error().message;
        policy->config.abi = SW_ABI_VERSION;
        return *policy;
    }
    Result<std::optional<CompiledPolicy>> follow(const CompiledPolicy& live,
                                                 const std::vector<Listener>& listeners) {
        return follow_listeners(live, effective(listeners), config_, host_, interface_);
    }
    static std::vector<std::string> names(const CompiledPolicy& policy) {
        std::vector<std::string> names;
        for (const ServiceView& view : view_services(policy)) names.push_back(view.name);
        std::ranges::sort(names);
        return names;
    }
    Config config_;
    HostFacts host_;
    Interface interface_;
};

TEST_F(Following, NothingNewChangesNothing) {
    const auto live = first({{at("0.0.0.0"), 22, 0}, {at("192.0.2.1"), 25, 0}});
    const auto next = follow(live, {{at("0.0.0.0"), 22, 0}, {at("192.0.2.1"), 25, 0}});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_FALSE(*next);
}

TEST_F(Following, ListenersComeAndGoAndOthersStay) {
    auto live = first({{at("0.0.0.0"), 22, 0}, {at("0.0.0.0"), 25, 0}});
    const unsigned web = live.find("web");
    const unsigned ssh = live.find("port-22");
    live.services[web].mode = SW_MODE_OFF;  // by `synward mode`
    const auto next = follow(live, {{at("0.0.0.0"), 22, 0}, {at("0.0.0.0"), 443, 0}});
    ASSERT_TRUE(next) << next.error().message;
    ASSERT_TRUE(*next);
    EXPECT_THAT(names(**next), ElementsAre("port-22", "port-443", "web"));
    EXPECT_EQ((*next)->find("web"), web);
    EXPECT_EQ((*next)->find("port-22"), ssh);
    EXPECT_EQ((*next)->services[web].mode, SW_MODE_OFF);
    EXPECT_EQ((*next)->ports[25], 0);
    EXPECT_EQ((*next)->ports[443], (*next)->find("port-443"));
}

TEST_F(Following, AnAddressThatComesIsProtected) {
    const auto live = first({{at("192.0.2.1"), 25, 0}});
    const auto next = follow(live, {{at("192.0.2.1"), 25, 0}, {at("2001:db8::1"), 25, 0}});
    ASSERT_TRUE(next) << next.error().message;
    ASSERT_TRUE(*next);
    EXPECT_EQ((*next)->addresses.size(), 2u);
    EXPECT_EQ((*next)->ports[25], SW_PORT_BY_ADDRESS);
}

TEST_F(Following, APortThatSomebodyProtectsByHandIsTheirs) {
    auto live = first({});
    Config by_hand;
    by_hand.services.push_back({.name = "mail", .ports = {25}});
    const auto addition = compile_policy(by_hand, host_, interface_, &live);
    ASSERT_TRUE(addition);
    const auto merged = merge_policy(live, *addition);
    ASSERT_TRUE(merged);
    const auto next = follow(*merged, {{at("0.0.0.0"), 25, 0}});
    ASSERT_TRUE(next) << next.error().message;
    EXPECT_FALSE(*next);
}

TEST(ListenerHistory, ComesAfterTwoReadingsAndGoesAfterFive) {
    const Listener ssh{at("0.0.0.0"), 22, 0};
    const Listener web{at("0.0.0.0"), 80, 0};
    ListenerHistory history;
    EXPECT_TRUE(history.update({ssh}));
    EXPECT_THAT(history.believed(), ElementsAre(ssh));
    EXPECT_FALSE(history.update({ssh, web}));
    EXPECT_FALSE(history.update({ssh}));  // it was gone again
    EXPECT_FALSE(history.update({ssh, web}));
    EXPECT_TRUE(history.update({ssh, web}));
    EXPECT_THAT(history.believed(), ElementsAre(ssh, web));
    for (unsigned i = 1; i < ListenerHistory::gone; i++) EXPECT_FALSE(history.update({web}));
    EXPECT_FALSE(history.update({ssh, web}));  // it restarted
    for (unsigned i = 1; i < ListenerHistory::gone; i++) EXPECT_FALSE(history.update({web}));
    EXPECT_TRUE(history.update({web}));
    EXPECT_THAT(history.believed(), ElementsAre(web));
}

}  // namespace
}  // namespace synward
