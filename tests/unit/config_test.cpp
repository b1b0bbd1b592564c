// SPDX-License-Identifier: GPL-2.0-or-later
// Configs that are right, and what they mean.
#include "lib/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "lib/gateway.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

Config parsed(std::string_view text) {
    auto config = parse_config(text, "test.toml");
    EXPECT_TRUE(config) << (config ? "" : config.error().message);
    return config.value_or(Config{});
}

TEST(Config, TheExampleOfTheReadme) {
    const Config config = parsed(R"(
[daemon]
interfaces = ["eth0"]

[defaults]
mode = "auto"

[[service]]
name = "web"
port = [80, 443]
mode = "cookie"
)");
    EXPECT_THAT(config.daemon.interfaces, ElementsAre("eth0"));
    ASSERT_EQ(config.services.size(), 1u);
    EXPECT_EQ(config.services[0].name, "web");
    EXPECT_THAT(config.services[0].ports, ElementsAre(80, 443));
    EXPECT_TRUE(config.services[0].addresses.empty());
    EXPECT_EQ(config.services[0].settings.mode, SW_MODE_COOKIE);
    EXPECT_EQ(config.defaults.mode, SW_MODE_AUTO);
}

TEST(Config, AnEmptyFileHasTheDocumentedDefaults) {
    const Config config = parsed("");
    EXPECT_TRUE(config.services.empty());
    EXPECT_EQ(config.defaults.mode, SW_MODE_AUTO);
    EXPECT_EQ(config.defaults.delivery, SW_DELIVERY_AUTO);
    EXPECT_EQ(config.defaults.stray, SW_ACTION_DROP);
    EXPECT_EQ(config.defaults.fragment, SW_ACTION_PASS);
    EXPECT_EQ(config.defaults.malformed, SW_ACTION_DROP);
    EXPECT_EQ(config.defaults.arm_rate, 2000u);
    EXPECT_EQ(config.defaults.disarm(), 1000u);
    EXPECT_EQ(config.defaults.hold, 10s);
    EXPECT_EQ(config.daemon.key_rotation, 1h);
    EXPECT_EQ(config.daemon.log_level, "info");
    EXPECT_EQ(config.limits.prefix_rate, 20'000u);
    EXPECT_EQ(config.limits.reply_rate, 0u);
}

TEST(Config, ServicesStartFromTheDefaultsWhereverThoseStand) {
    const Config config = parsed(R"(
[[service]]
name = "a"
port = 1
arm_rate = 100

[[service]]
name = "b"
port = 2
stray = "pass"

[defaults]
mode = "monitor"
arm_rate = 500
stray = "escalate"
sack = false
)");
    ASSERT_EQ(config.services.size(), 2u);
    const Settings& a = config.services[0].settings;
    const Settings& b = config.services[1].settings;
    EXPECT_EQ(a.mode, SW_MODE_MONITOR);
    EXPECT_EQ(a.arm_rate, 100u);
    EXPECT_EQ(a.disarm(), 50u);
    EXPECT_EQ(a.stray, SW_ACTION_ESCALATE);
    EXPECT_EQ(a.sack, false);
    EXPECT_EQ(b.arm_rate, 500u);
    EXPECT_EQ(b.stray, SW_ACTION_PASS);
}

TEST(Config, LocalAddressesOneByOneAndAll) {
    const Config config = parsed(R"(
[[service]]
name = "all"
port = 80
address = "local"
[[service]]
name = "own"
port = 80
address = ["192.0.2.1"]
[[service]]
name = "both"
port = 443
address = ["192.0.2.1", "local"]
[[service]]
name = "every"
port = 22
)");
    ASSERT_EQ(config.services.size(), 4u);
    EXPECT_TRUE(config.services[0].local);
    EXPECT_THAT(config.services[0].addresses, testing::IsEmpty());
    EXPECT_FALSE(config.services[0].everywhere());
    EXPECT_FALSE(config.services[1].local);
    EXPECT_TRUE(config.services[2].local);
    EXPECT_THAT(config.services[2].addresses, ElementsAre(*Address::parse("192.0.2.1")));
    EXPECT_TRUE(config.services[3].everywhere());
}

TEST(Config, EveryKeyOfAServiceIsRead) {
    const Config config = parsed(R"(
[[service]]
name = "mail.example-1_x"
port = 25
address = ["192.0.2.1", "2001:db8::1"]
mode = "off"
delivery = "synproxy"
stray = "pass"
fragment = "drop"
malformed = "escalate"
arm_rate = 300
disarm_rate = 300
hold = "1m"
mss = 1400
wscale = 9
sack = true
timestamps = false
ecn = true
)");
    ASSERT_EQ(config.services.size(), 1u);
    const ServiceConfig& s = config.services[0];
    EXPECT_THAT(s.addresses, ElementsAre(*Address::parse("192.0.2.1"), *Address::parse("2001:db8::1")));
    EXPECT_EQ(s.settings.mode, SW_MODE_OFF);
    EXPECT_EQ(s.settings.delivery, SW_DELIVERY_SYNPROXY);
    EXPECT_EQ(s.settings.stray, SW_ACTION_PASS);
    EXPECT_EQ(s.settings.fragment, SW_ACTION_DROP);
    EXPECT_EQ(s.settings.malformed, SW_ACTION_ESCALATE);
    EXPECT_EQ(s.settings.disarm(), 300u);
    EXPECT_EQ(s.settings.hold, 1min);
    EXPECT_EQ(s.settings.mss, 1400);
    EXPECT_EQ(s.settings.wscale, 9);
    EXPECT_EQ(s.settings.sack, true);
    EXPECT_EQ(s.settings.timestamps, false);
    EXPECT_EQ(s.settings.ecn, true);
}

TEST(Config, EveryKeyOfTheOtherSectionsIsRead) {
    const Config config = parsed(R"(
[daemon]
interfaces = "eth0"
log_level = "debug"
control = "/run/other.sock"
object = "/opt/synward.bpf.o"
key_rotation = "30m"
learn_interval = "5s"
generic = true
gateway = true
[limits]
reply_rate = 100000
prefix_rate = 0
flows = 65536
[sources]
deny = ["203.0.113.0/24", "198.18.0.1"]
allow = "2001:db8::/48"
)");
    EXPECT_THAT(config.daemon.interfaces, ElementsAre("eth0"));
    EXPECT_EQ(config.daemon.log_level, "debug");
    EXPECT_EQ(config.daemon.control, "/run/other.sock");
    EXPECT_EQ(config.daemon.object, "/opt/synward.bpf.o");
    EXPECT_EQ(config.daemon.key_rotation, 30min);
    EXPECT_EQ(config.daemon.learn_interval, 5s);
    EXPECT_TRUE(config.daemon.generic);
    EXPECT_EQ(config.daemon.gateway, true);
    EXPECT_EQ(config.limits.reply_rate, 100'000u);
    EXPECT_EQ(config.limits.prefix_rate, 0u);
    EXPECT_EQ(config.limits.flows, 65536u);
    EXPECT_THAT(config.sources.deny,
                ElementsAre(*Prefix::parse("203.0.113.0/24"), *Prefix::parse("198.18.0.1")));
    EXPECT_THAT(config.sources.allow, ElementsAre(*Prefix::parse("2001:db8::/48")));
}

TEST(Config, WhatAGatewayForwards) {
    const auto forwarded = [](const std::string& text) {
        const Config config = parsed(text);
        std::string services;
        for (const ServiceConfig& s : config.services)
            if (may_be_forwarded(config, s)) services += s.name;
        return services;
    };
    const std::string services =
        "[[service]]\nname = \"a\"\nport = 80\n[[service]]\nname = \"b\"\nport = 81\n";
    EXPECT_EQ(forwarded(services), "");
    EXPECT_EQ(forwarded("[daemon]\ngateway = true\n" + services), "ab");
    // An address alone may be that of a server behind.
    EXPECT_EQ(forwarded("[daemon]\ngateway = true\n" + services + "address = \"192.0.2.1\"\n"), "ab");
    EXPECT_EQ(forwarded("[daemon]\ngateway = true\n" + services + "address = \"local\"\n"), "a");
    // Who names a delivery gets it: with these two, what is forwarded passes.
    EXPECT_EQ(forwarded("[daemon]\ngateway = true\n" + services + "delivery = \"reqsk\"\n"), "a");
    EXPECT_EQ(forwarded("[daemon]\ngateway = true\n[defaults]\ndelivery = \"kernel\"\n" + services), "");
    // One that says synproxy makes it a gateway, for the others as well; unless it is said not to be one.
    EXPECT_EQ(forwarded(services + "delivery = \"synproxy\"\n"), "a");
    EXPECT_EQ(forwarded("[daemon]\ngateway = false\n" + services + "delivery = \"synproxy\"\n"), "");
}

TEST(Config, OnePortMayBelongToTwoServicesOnTwoAddresses) {
    const Config config = parsed(R"(
[[service]]
name = "a"
port = 80
address = "192.0.2.1"
[[service]]
name = "b"
port = 80
address = "192.0.2.2"
)");
    EXPECT_EQ(config.services.size(), 2u);
}

TEST(Config, AnEmptyListOfSourcesIsAList) {
    const Config config = parsed("[sources]\ndeny = []\nallow = []\n");
    EXPECT_TRUE(config.sources.deny.empty());
}

TEST(Config, LoadsAFileAndSaysWhichOneIsMissing) {
    const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("synward-config-" + std::to_string(getpid()) + ".toml");
    std::ofstream(path) << "[[service]]\nname = \"ssh\"\nport = 22\n";
    const auto config = load_config(path);
    std::filesystem::remove(path);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->services[0].name, "ssh");

    const auto gone = load_config(path);
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, ErrorCode::missing);
    EXPECT_THAT(gone.error().message, HasSubstr(path.string()));
    const auto directory = load_config("/");
    ASSERT_FALSE(directory);
    EXPECT_THAT(directory.error().message, HasSubstr("directory"));
}

}  // namespace
}  // namespace synward
