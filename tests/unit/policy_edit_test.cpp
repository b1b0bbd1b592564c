// SPDX-License-Identifier: GPL-2.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lib/policy.h"

namespace synward {
namespace {

using testing::HasSubstr;

struct PolicyEditTest : testing::Test {
    PolicyEditTest() {
        host.reqsk = true;
        base = one("web", {80}, {});
        base.config.abi = SW_ABI_VERSION;
    }
    CompiledPolicy one(const std::string& name, std::vector<std::uint16_t> ports,
                       std::vector<Address> addresses, const CompiledPolicy* previous = nullptr) {
        Config config;
        config.services.push_back(
            {.name = name, .ports = std::move(ports), .addresses = std::move(addresses)});
        auto policy = compile_policy(config, host, Interface{}, previous);
        EXPECT_TRUE(policy);
        return *policy;
    }
    HostFacts host;
    CompiledPolicy base;
    const Address here = *Address::parse("192.0.2.1");
    const Address there = *Address::parse("192.0.2.2");
};

TEST_F(PolicyEditTest, AddsAServiceBesideTheOthers) {
    const auto merged = merge_policy(base, one("ssh", {22}, {}, &base));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(merged->ports[80], merged->find("web"));
    EXPECT_EQ(merged->ports[22], merged->find("ssh"));
    EXPECT_NE(merged->find("ssh"), merged->find("web"));
}

TEST_F(PolicyEditTest, AServiceOfTheSameNameIsReplaced) {
    const auto merged = merge_policy(base, one("web", {8080}, {}, &base));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_EQ(merged->find("web"), base.find("web"));
    EXPECT_EQ(merged->ports[80], 0);
    EXPECT_EQ(merged->ports[8080], merged->find("web"));
}

TEST_F(PolicyEditTest, ATakenPortIsRefusedWithTheHoldersName) {
    const auto whole = merge_policy(base, one("other", {80}, {}, &base));
    ASSERT_FALSE(whole);
    EXPECT_THAT(whole.error().message, HasSubstr("'web'"));
    EXPECT_FALSE(merge_policy(base, one("other", {80}, {here}, &base)));

    CompiledPolicy narrow = one("narrow", {443}, {here});
    narrow.config.abi = SW_ABI_VERSION;
    EXPECT_FALSE(merge_policy(narrow, one("wide", {443}, {}, &narrow)));
    EXPECT_FALSE(merge_policy(narrow, one("same", {443}, {here}, &narrow)));
    const auto both = merge_policy(narrow, one("beside", {443}, {there}, &narrow));
    ASSERT_TRUE(both) << both.error().message;
    EXPECT_EQ(both->addresses.size(), 2u);
}

TEST_F(PolicyEditTest, RemovingTheLastAddressFreesThePort) {
    CompiledPolicy narrow = one("a", {443}, {here});
    narrow.config.abi = SW_ABI_VERSION;
    const auto both = merge_policy(narrow, one("b", {443}, {there}, &narrow));
    ASSERT_TRUE(both);
    const auto left = remove_service(*both, "a");
    ASSERT_TRUE(left);
    EXPECT_EQ(left->ports[443], SW_PORT_BY_ADDRESS);
    EXPECT_EQ(left->find("a"), 0u);
    const auto none = remove_service(*left, "b");
    ASSERT_TRUE(none);
    EXPECT_EQ(none->ports[443], 0);
    EXPECT_TRUE(none->addresses.empty());
}

TEST_F(PolicyEditTest, RemovingWhatIsNotThereNamesWhatIs) {
    const auto missing = remove_service(base, "wbe");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::missing);
    EXPECT_THAT(missing.error().message, HasSubstr("web"));
}

// The interface may have changed without a daemon that follows it.
TEST_F(PolicyEditTest, TheInterfaceIsAsTheAdditionFoundIt) {
    Interface before, now;
    before.mac = {2, 0, 0, 0, 0, 1};
    before.vrf = before.vrf_tagged = true;
    now.mac = {2, 0, 0, 0, 0, 2};
    Config config;
    config.services.push_back({.name = "web", .ports = {80}});
    host.sysctls.tcp_timestamps = 2;
    base = *compile_policy(config, host, before);
    base.config.abi = SW_ABI_VERSION;
    base.config.flags |= SW_FLAG_GATEWAY | SW_FLAG_REPORT;
    ASSERT_TRUE(base.config.flags & SW_FLAG_TIMESTAMP_COOKIE);

    config.services = {{.name = "ssh", .ports = {22}}};
    host.sysctls.tcp_timestamps = 1;
    const auto merged = merge_policy(base, *compile_policy(config, host, now, &base));
    ASSERT_TRUE(merged) << merged.error().message;
    EXPECT_TRUE(std::ranges::equal(merged->config.mac, now.mac));
    EXPECT_EQ(merged->config.flags, SW_FLAG_CHECK_MAC | SW_FLAG_GATEWAY | SW_FLAG_REPORT);

    // Nothing that the interface had stays, but what a service of before needs.
    base.services[base.find("web")].delivery = SW_DELIVERY_SYNPROXY;
    const auto beside = merge_policy(base, *compile_policy(config, host, Interface{}, &base));
    ASSERT_TRUE(beside) << beside.error().message;
    EXPECT_EQ(beside->config.flags, SW_FLAG_TIMESTAMP_COOKIE | SW_FLAG_GATEWAY | SW_FLAG_REPORT);
}

TEST_F(PolicyEditTest, ALaterFateOfASourceWins) {
    CompiledPolicy addition = one("ssh", {22}, {}, &base);
    base.sources = {{*Prefix::parse("192.0.2.9"), SW_FATE_DENY}};
    addition.sources = {{*Prefix::parse("192.0.2.9"), SW_FATE_ALLOW},
                        {*Prefix::parse("2001:db8::/32"), SW_FATE_DENY}};
    const auto merged = merge_policy(base, addition);
    ASSERT_TRUE(merged);
    ASSERT_EQ(merged->sources.size(), 2u);
    EXPECT_EQ(merged->sources[0].fate, SW_FATE_ALLOW);
    EXPECT_EQ(merged->sources[1].prefix, *Prefix::parse("2001:db8::/32"));
}

}  // namespace
}  // namespace synward
