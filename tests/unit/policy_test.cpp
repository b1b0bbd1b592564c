// SPDX-License-Identifier: GPL-2.0-or-later
// What a config becomes on a given host: pure arithmetic, checked by hand.
#include "lib/policy.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

struct PolicyTest : testing::Test {
    PolicyTest() {
        host.kernel = "6.12.0";
        host.hz = 250;
        host.cpus = 4;
        host.btf = true;
        host.reqsk = true;
        host.sysctls.tcp_rmem_max = 6291456;
        interface.name = "eth0";
        interface.index = 2;
        interface.mtu = 1500;
        interface.mac = {2, 0, 0, 0, 0, 1};
        interface.rx_queues = 2;
    }

    ServiceConfig& add(const std::string& name, std::vector<std::uint16_t> ports) {
        ServiceConfig service;
        service.name = name;
        service.ports = std::move(ports);
        config.services.push_back(std::move(service));
        return config.services.back();
    }

    CompiledPolicy compiled(const CompiledPolicy* previous = nullptr) {
        auto policy = compile_policy(config, host, interface, previous);
        EXPECT_TRUE(policy) << (policy ? "" : policy.error().message);
        return policy.value_or(CompiledPolicy{});
    }

    sw_service only() {
        const CompiledPolicy policy = compiled();
        return policy.services[1];
    }

    Config config;
    HostFacts host;
    Interface interface;
};

TEST_F(PolicyTest, TimesFollowTheTickRate) {
    const sw_config at250 = compiled().config;
    EXPECT_EQ(at250.epoch_shift, 14);   // 65.5 s
    EXPECT_EQ(at250.window_shift, 5u);  // 128 ms
    EXPECT_EQ(at250.grace_ticks, 5u);
    EXPECT_EQ(at250.listener_ticks, 25u);
    EXPECT_EQ(at250.hz, 250u);
    host.hz = 1000;
    const sw_config at1000 = compiled().config;
    EXPECT_EQ(at1000.epoch_shift, 16);
    EXPECT_EQ(at1000.window_shift, 7u);
    EXPECT_EQ(at1000.grace_ticks, 20u);
    host.hz = 100;
    const sw_config at100 = compiled().config;
    EXPECT_EQ(at100.epoch_shift, 13);
    EXPECT_EQ(at100.window_shift, 4u);
    EXPECT_EQ(at100.grace_ticks, 2u);
}

TEST_F(PolicyTest, ArmingCountsSynsOfOneWindow) {
    ServiceConfig& s = add("web", {80});
    s.settings.arm_rate = 2000;
    s.settings.hold = 10s;
    EXPECT_EQ(only().arm_syns, 256u);  // 2000/s * 128 ms
    EXPECT_EQ(only().disarm_syns, 128u);
    EXPECT_EQ(only().hold_ticks, 2500u);
    s.settings.arm_rate = 1;
    EXPECT_EQ(only().arm_syns, 1u);
    EXPECT_EQ(only().disarm_syns, 1u) << "0 would never disarm";
    s.settings.arm_rate = 100'000'000;
    EXPECT_EQ(only().arm_syns, 12'800'000u);
}

TEST_F(PolicyTest, SegmentsAndWindowsLookLikeLinux) {
    add("web", {80});
    const sw_service s = only();
    EXPECT_EQ(ntohs(s.mss[SW_IPV4]), 1460);
    EXPECT_EQ(ntohs(s.mss[SW_IPV6]), 1440);
    EXPECT_EQ(ntohs(s.window[SW_IPV4][0]), 64240);
    EXPECT_EQ(ntohs(s.window[SW_IPV4][1]), 65160);
    EXPECT_EQ(ntohs(s.window[SW_IPV6][0]), 64800);
    EXPECT_EQ(ntohs(s.window[SW_IPV6][1]), 64260);
}

TEST_F(PolicyTest, TheConfigLowersTheMssButNeverBeyondTheMtu) {
    add("web", {80}).settings.mss = 1200;
    EXPECT_EQ(ntohs(only().mss[SW_IPV4]), 1200);
    EXPECT_EQ(ntohs(only().mss[SW_IPV6]), 1200);
    config.services[0].settings.mss = 9000;
    EXPECT_EQ(ntohs(only().mss[SW_IPV4]), 1460);
    interface.mtu = 65536;  // loopback
    EXPECT_EQ(ntohs(only().mss[SW_IPV4]), 9000);
    interface.mtu = 68;  // the least there is
    EXPECT_EQ(ntohs(only().mss[SW_IPV4]), 64);
}

TEST_F(PolicyTest, WindowScaleIsTheKernels) {
    Sysctls s;
    s.tcp_rmem_max = 6291456;
    s.rmem_max = 212992;
    EXPECT_EQ(host_wscale(s), 7);
    s.rmem_max = 33554432;
    EXPECT_EQ(host_wscale(s), 10);
    s.tcp_rmem_max = s.rmem_max = 65535;
    EXPECT_EQ(host_wscale(s), 0);
    s.tcp_rmem_max = 2147483647;
    EXPECT_EQ(host_wscale(s), 14);
    s.tcp_rmem_max = s.rmem_max = 0;
    EXPECT_EQ(host_wscale(s), 0);
}

TEST_F(PolicyTest, WhatTheHostDoesNotSpeakIsNotOffered) {
    add("web", {80});
    EXPECT_EQ(only().options, SW_OPTION_SACK | SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE | SW_OPTION_ECN);
    host.sysctls.tcp_sack = false;
    host.sysctls.tcp_ecn = 0;
    EXPECT_EQ(only().options, SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE);
    host.sysctls.tcp_timestamps = 0;
    host.sysctls.tcp_window_scaling = false;
    EXPECT_EQ(only().options, 0);
    config.services[0].settings.sack = true;
    EXPECT_EQ(only().options, 0) << "asking for it does not change the host";
    EXPECT_THAT(compiled().notes, Contains(HasSubstr("net.ipv4.tcp_sack")));
}

TEST_F(PolicyTest, TheConfigTakesOptionsAway) {
    Settings& s = add("web", {80}).settings;
    s.sack = false;
    s.timestamps = false;
    s.ecn = false;
    s.wscale = 3;
    EXPECT_EQ(only().options, SW_OPTION_WSCALE);
    EXPECT_EQ(only().wscale, 3);
}

TEST_F(PolicyTest, AutoDeliveryTakesWhatTheKernelHas) {
    add("web", {80});
    EXPECT_EQ(only().delivery, SW_DELIVERY_REQSK);
    host.reqsk = false;
    EXPECT_EQ(only().delivery, SW_DELIVERY_KERNEL);
    EXPECT_THAT(compiled().notes, Contains(HasSubstr("no bpf_sk_assign_tcp_reqsk")));
    config.services[0].settings.delivery = SW_DELIVERY_REQSK;
    const auto refused = compile_policy(config, host, interface);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("service 'web'"));
}

TEST_F(PolicyTest, KernelCookiesCarryOptionsOnlyInUnshiftedTimestamps) {
    add("web", {80}).settings.delivery = SW_DELIVERY_KERNEL;
    host.sysctls.tcp_timestamps = 1;
    EXPECT_EQ(only().options, 0);
    EXPECT_FALSE(compiled().config.flags & SW_FLAG_TIMESTAMP_COOKIE);
    host.sysctls.tcp_timestamps = 2;
    EXPECT_EQ(only().options, SW_OPTION_SACK | SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE | SW_OPTION_ECN);
    EXPECT_TRUE(compiled().config.flags & SW_FLAG_TIMESTAMP_COOKIE);
    config.services[0].settings.wscale = 2;
    EXPECT_EQ(only().wscale, 7) << "the listener computes its own";
    EXPECT_THAT(compiled().notes, Contains(HasSubstr("wscale 7 is announced, not 2")));
}

TEST_F(PolicyTest, SynproxyIsAGatewayWithAClosedWindow) {
    add("web", {80}).settings.delivery = SW_DELIVERY_SYNPROXY;
    host.sysctls.tcp_sack = false;
    const CompiledPolicy policy = compiled();
    EXPECT_FALSE(policy.config.flags & SW_FLAG_GATEWAY);
    EXPECT_TRUE(is_gateway(policy));
    EXPECT_FALSE(is_gateway(policy, "web"));
    EXPECT_EQ(policy.services[1].window[SW_IPV4][0], 0);
    EXPECT_EQ(policy.services[1].window[SW_IPV6][1], 0);
    EXPECT_EQ(policy.services[1].options, SW_OPTION_SACK | SW_OPTION_TIMESTAMP | SW_OPTION_WSCALE)
        << "this host's sysctls are not the server's";
    config.daemon.gateway = true;
    config.services[0].settings.delivery = SW_DELIVERY_AUTO;
    EXPECT_TRUE(compiled().config.flags & SW_FLAG_GATEWAY);
    EXPECT_TRUE(compiled().config.flags & SW_FLAG_TIMESTAMP_COOKIE);
    EXPECT_EQ(only().delivery, SW_DELIVERY_SYNPROXY);
    config.services[0].listener = true;
    EXPECT_NE(only().delivery, SW_DELIVERY_SYNPROXY) << "it is this host's own";
    EXPECT_TRUE(is_gateway(compiled()));
    config.daemon.gateway = false;
    EXPECT_FALSE(is_gateway(compiled()));
}

TEST_F(PolicyTest, TheStationIsCheckedWhereThereIsOne) {
    EXPECT_TRUE(compiled().config.flags & SW_FLAG_CHECK_MAC);
    EXPECT_EQ(compiled().config.mac[5], 1);
    interface.mac = {};
    EXPECT_FALSE(compiled().config.flags & SW_FLAG_CHECK_MAC);
}

TEST_F(PolicyTest, AVrfIsToldToTheProgram) {
    EXPECT_FALSE(compiled().config.flags & (SW_FLAG_VRF | SW_FLAG_VRF_TAGGED));
    interface.vrf_tagged = true;
    EXPECT_EQ(compiled().config.flags & (SW_FLAG_VRF | SW_FLAG_VRF_TAGGED), unsigned{SW_FLAG_VRF_TAGGED});
    EXPECT_THAT(compiled().notes, Contains(HasSubstr("packets of its VLANs end in a VRF or bridge")));
    interface.vrf = true;
    EXPECT_TRUE(compiled().config.flags & SW_FLAG_VRF);
}

TEST_F(PolicyTest, RatesAreSharedAmongTheCpusThatReceive) {
    config.limits.reply_rate = 1000;
    config.limits.prefix_rate = 0;
    const sw_config c = compiled().config;
    // two queues, four CPUs: 500 a second each, 2 a tick
    EXPECT_EQ(c.reply.interval, (1u << SW_TICK_SHIFT) / 2);
    EXPECT_EQ(c.reply.tolerance, 250u << SW_TICK_SHIFT >> 2) << "a quarter of a second";
    EXPECT_EQ(c.prefix.tolerance, 0u);
}

TEST_F(PolicyTest, RatesAtTheEndsOfTheirRange) {
    const sw_rate_limit least = rate_limit(1, 64, 1000);
    EXPECT_EQ(least.interval, 1024u << SW_TICK_SHIFT) << "never silently nothing";
    EXPECT_EQ(least.tolerance, 16 * least.interval);
    EXPECT_GT(least.tolerance + least.interval, least.tolerance) << "no overflow";
    EXPECT_EQ(rate_limit(6'553'600, 1, 100).interval, 1u);
    EXPECT_EQ(rate_limit(6'553'599, 1, 100).interval, 2u) << "rounded so that the limit holds";
    EXPECT_EQ(rate_limit(4294967295u, 1, 100).tolerance, 0u) << "no limit rather than a wrong one";
}

TEST_F(PolicyTest, PortsAndAddresses) {
    add("web", {80, 443});
    add("dns", {53}).addresses = {*Address::parse("192.0.2.1"), *Address::parse("2001:db8::1")};
    const CompiledPolicy policy = compiled();
    EXPECT_EQ(policy.ports[80], policy.find("web"));
    EXPECT_EQ(policy.ports[443], policy.find("web"));
    EXPECT_EQ(policy.ports[53], SW_PORT_BY_ADDRESS);
    EXPECT_EQ(policy.ports[22], 0);
    ASSERT_EQ(policy.addresses.size(), 2u);
    EXPECT_EQ(policy.addresses[1].service, policy.find("dns"));
    EXPECT_EQ(policy.addresses[1].port, 53);
}

TEST_F(PolicyTest, AServiceKeepsItsIndexAcrossReloads) {
    add("a", {1});
    add("b", {2});
    add("c", {3});
    const CompiledPolicy first = compiled();
    EXPECT_EQ(first.find("a"), 1u);
    EXPECT_EQ(first.find("c"), 3u);

    config.services.erase(config.services.begin());
    std::swap(config.services[0], config.services[1]);
    config.services.insert(config.services.begin(), ServiceConfig{.name = "new", .ports = {4}});
    const CompiledPolicy second = compiled(&first);
    EXPECT_EQ(second.find("b"), first.find("b"));
    EXPECT_EQ(second.find("c"), first.find("c"));
    EXPECT_EQ(second.find("a"), 0u);
    EXPECT_EQ(second.find("new"), 4u) << "an index that was in use a moment ago is taken last";
    EXPECT_EQ(second.ports[4], 4u);
}

TEST_F(PolicyTest, AFullTableReusesTheIndicesThatAreGiven) {
    for (unsigned i = 1; i < SW_SERVICES; i++) add("s" + std::to_string(i), {static_cast<std::uint16_t>(i)});
    const CompiledPolicy full = compiled();
    for (ServiceConfig& s : config.services)
        if (s.name != "s7") s.name = "t" + s.name;
    const CompiledPolicy next = compiled(&full);
    EXPECT_EQ(next.find("s7"), full.find("s7"));
    std::set<unsigned> indices;
    for (const ServiceConfig& s : config.services) indices.insert(next.find(s.name));
    EXPECT_EQ(indices.size(), SW_SERVICES - 1u);
    EXPECT_FALSE(indices.contains(0));
    add("one-too-many", {9000});
    EXPECT_FALSE(compile_policy(config, host, interface, &next));
}

TEST_F(PolicyTest, HashKeysAreOddAndStay) {
    const CompiledPolicy first = compiled();
    std::set<std::uint64_t> different;
    for (const auto key : first.config.hash_key) {
        EXPECT_EQ(key & 1, 1u);
        different.insert(key);
    }
    EXPECT_EQ(different.size(), 8u);
    const CompiledPolicy second = compiled(&first);
    EXPECT_TRUE(std::equal(std::begin(first.config.hash_key), std::end(first.config.hash_key),
                           std::begin(second.config.hash_key)));
}

TEST_F(PolicyTest, ViewsTellWhatTheConfigSaid) {
    Settings& s = add("web", {80, 8080}).settings;
    s.arm_rate = 2000;
    s.hold = 30s;
    add("ssh", {22}).addresses = {*Address::parse("192.0.2.1")};
    const auto views = view_services(compiled());
    ASSERT_EQ(views.size(), 2u);
    EXPECT_EQ(views[0].name, "web");
    EXPECT_THAT(views[0].ports, testing::ElementsAre(80, 8080));
    EXPECT_EQ(views[0].arm_rate, 2000u);
    EXPECT_EQ(views[0].disarm_rate, 1000u);
    EXPECT_EQ(views[0].hold, 30s);
    EXPECT_TRUE(views[1].ports.empty());
    ASSERT_EQ(views[1].addresses.size(), 1u);
    EXPECT_EQ(views[1].addresses[0].second, 22);
}

}  // namespace
}  // namespace synward
