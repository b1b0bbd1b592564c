// SPDX-License-Identifier: GPL-2.0-or-later
// The one rule, in a namespace of the test's own, with the nft command as witness.
#include "lib/classify/fate_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "lib/classify/backoff.h"
#include "lib/classify/fate_table.h"
#include "lib/escalation/queue_rule.h"
#include "namespace.h"

namespace synward {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// The table as nft lists it, without the numbers that the kernel gives out.
json table() {
    const std::string text = output("nft -j list table inet synward 2>&-");
    json listed = json::parse(text, nullptr, false);
    if (listed.is_discarded()) return text;
    for (json& object : listed["nftables"])
        for (auto& [key, value] : object.items())
            if (value.is_object()) value.erase("handle");
    return listed;
}

TEST(BackoffTest, OnceAtOnceThenEverMoreSeldom) {
    using namespace std::chrono_literals;
    Backoff backoff;
    auto now = Backoff::Clock::time_point{} + 1h;
    EXPECT_TRUE(backoff.allowed(now));
    EXPECT_FALSE(backoff.contested());
    // Somebody takes it away as soon as it is back.
    for (const auto pause : {1s, 4s, 16s, 64s, 256s, 300s, 300s}) {
        ASSERT_TRUE(backoff.allowed(now));
        EXPECT_EQ(backoff.done(now), pause);
        EXPECT_EQ(backoff.contested(), pause > 1s);
        EXPECT_FALSE(backoff.allowed(now + pause - 1ms));
        EXPECT_EQ(backoff.left(now), pause);
        now += pause;
    }
    // It stayed for long: a new story.
    now += 10min + 1s;
    EXPECT_EQ(backoff.done(now), 1s);
    EXPECT_FALSE(backoff.contested());
    EXPECT_EQ(backoff.done(now + 61s), 1s) << "once a minute is no fight";
    EXPECT_EQ(backoff.left(now + 1h), 0s);
}

class FateRuleTest : public testing::Test {
  protected:
    static void install(const Fates& fates = {}) {
        const auto installed = install_fate_rule(fates);
        ASSERT_TRUE(installed) << installed.error().message;
    }
    static FateRule find(const Fates& fates = {}) {
        const auto found = find_fate_rule(fates);
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(FateRule{});
    }
    static RuleState state(const Fates& fates = {}) { return find(fates).state; }
    static void remove() {
        const auto removed = remove_fate_rule();
        EXPECT_TRUE(removed) << removed.error().message;
    }
    static Fates with_quarantine() {
        Fates fates;
        EXPECT_TRUE(fates.add({"quarantine", 0x20, FateVerdict::drop}));
        EXPECT_TRUE(fates.add({"slow", 0x21, FateVerdict::go_on}));
        return fates;
    }
    static constexpr const char* file = "nft -f " SYNWARD_SOURCE "/packaging/synward.nft";

    TestNamespace space_;
};

TEST_F(FateRuleTest, ItIsMadeFoundAndRemoved) {
    EXPECT_EQ(state(), RuleState::absent);
    install();
    EXPECT_EQ(state(), RuleState::exact);
    EXPECT_EQ(find().difference, "");
    const std::string ruleset = output("nft list ruleset");
    EXPECT_THAT(ruleset, HasSubstr("type filter hook prerouting priority mangle + 10; policy accept;"));
    EXPECT_THAT(ruleset, HasSubstr("ct mark & 0x000000ff vmap @fate"));
    EXPECT_THAT(ruleset, HasSubstr("0x0000000d comment \"fate deny\" : drop"));
    install();
    EXPECT_EQ(output("nft list ruleset"), ruleset) << "a second time changes nothing";
    remove();
    EXPECT_EQ(output("nft list ruleset"), "");
    EXPECT_EQ(state(), RuleState::absent);
    remove();
}

TEST_F(FateRuleTest, TheFileForNftMakesTheSame) {
    install();
    const json ours = table();
    EXPECT_TRUE(ours.is_object());
    remove();
    run(file);
    EXPECT_EQ(table(), ours);
    EXPECT_EQ(state(), RuleState::exact);
    run(file);
    EXPECT_EQ(table(), ours) << "a second time changes nothing";
    install();
    EXPECT_EQ(table(), ours);
    // Over a table that is in every way another.
    remove();
    run("nft add table inet synward");
    run("nft add chain inet synward classify '{ type filter hook output priority 7; }'");
    run("nft add map inet synward fate '{ type mark : verdict; }'");
    run("nft add element inet synward fate '{ 0xd : accept }'");
    run("nft add rule inet synward classify meta mark vmap @fate");
    run(file);
    EXPECT_EQ(table(), ours);
}

TEST_F(FateRuleTest, FatesOfTheConfigAreElements) {
    const Fates fates = with_quarantine();
    install(fates);
    EXPECT_EQ(state(fates), RuleState::exact);
    EXPECT_THAT(output("nft list map inet synward fate"),
                HasSubstr("0x00000020 comment \"fate quarantine\" : drop"));
    EXPECT_THAT(output("nft list map inet synward fate"), Not(HasSubstr("0x00000021")))
        << "continue needs no element";
    // One that is no fate any more is ours to take away.
    EXPECT_EQ(state(), RuleState::damaged);
    EXPECT_THAT(find().difference, HasSubstr("quarantine"));
    install();
    EXPECT_EQ(state(), RuleState::exact);
    EXPECT_THAT(output("nft list map inet synward fate"), Not(HasSubstr("quarantine")));
}

TEST_F(FateRuleTest, EveryDamageIsSeenAndMended) {
    install();
    const json whole = table();
    const std::pair<const char*, const char*> damages[] = {
        {"nft flush ruleset", "is gone"},
        {"nft add table inet synward '{ flags dormant; }'", "dormant"},
        {"nft flush chain inet synward classify", "is empty"},
        {"nft add rule inet synward classify counter", "other rules"},
        {"nft insert rule inet synward classify accept", "other rules"},
        {"nft flush chain inet synward classify && nft add rule inet synward classify ct mark vmap @fate",
         "other rules"},
        {"nft flush chain inet synward classify && nft add rule inet synward classify ct mark and 0xfe vmap "
         "@fate",
         "other rules"},
        {"nft flush chain inet synward classify && nft add rule inet synward classify meta mark and 0xff "
         "vmap @fate",
         "other rules"},
        {"nft delete chain inet synward classify", "'classify' is gone"},
        {"nft delete chain inet synward classify && nft delete map inet synward fate", "is gone"},
        {"nft add chain inet synward classify '{ policy drop; }'", "policy"},
        {"nft delete element inet synward fate '{ 0xd }'", "lacks mark 0xd"},
        {"nft delete element inet synward fate '{ 0xd }' && nft add element inet synward fate '{ 0xd : "
         "accept }'",
         "another verdict for mark 0xd"},
        {"nft delete chain inet synward classify && nft add chain inet synward classify "
         "'{ type filter hook prerouting priority -130; }'",
         "priority"},
        {"nft delete chain inet synward classify && nft delete map inet synward fate && "
         "nft add map inet synward fate '{ type ipv4_addr : verdict; }' && nft add chain inet synward "
         "classify "
         "'{ type filter hook prerouting priority -140; }' && nft add rule inet synward classify ip saddr "
         "vmap @fate",
         "another type"},
    };
    for (const auto& [damage, says] : damages) {
        SCOPED_TRACE(damage);
        run(damage);
        EXPECT_NE(state(), RuleState::exact);
        EXPECT_THAT(find().difference, HasSubstr(says));
        install();
        EXPECT_EQ(table(), whole);
        EXPECT_EQ(state(), RuleState::exact);
    }
}

TEST_F(FateRuleTest, ElementsOfTheAdministratorStay) {
    install();
    run("nft add chain inet synward mine");
    run("nft add rule inet synward mine counter");
    run("nft add element inet synward fate '{ 0x30 : jump mine }'");
    EXPECT_EQ(state(), RuleState::exact);
    EXPECT_EQ(find().foreign, 1u);
    run("nft flush chain inet synward classify");
    install(with_quarantine());
    EXPECT_THAT(output("nft list map inet synward fate"), HasSubstr("0x00000030 : jump mine"));
    EXPECT_EQ(state(with_quarantine()), RuleState::exact);
    // The fate `slow` leaves the verdict to the administrator.
    run("nft add element inet synward fate '{ 0x21 : jump mine }'");
    install(with_quarantine());
    EXPECT_EQ(find(with_quarantine()).foreign, 2u);
    // A mark that the config gives a verdict is the config's.
    run("nft delete element inet synward fate '{ 0x20 }'");
    run("nft add element inet synward fate '{ 0x20 : jump mine }'");
    EXPECT_EQ(state(with_quarantine()), RuleState::damaged);
    install(with_quarantine());
    EXPECT_EQ(state(with_quarantine()), RuleState::exact);
    remove();
    EXPECT_THAT(output("nft list table inet synward"), HasSubstr("chain mine"));
    EXPECT_THAT(output("nft list table inet synward"), Not(HasSubstr("fate")));
}

// More than one message holds, and more than a socket sends by itself.
TEST_F(FateRuleTest, ThousandsOfOutdatedElementsGo) {
    install();
    const std::string path = testing::TempDir() + "synward-outdated.nft";
    for (const unsigned count : {3000u, 6000u, 30'000u}) {
        SCOPED_TRACE(count);
        {
            std::ofstream elements(path);
            elements << "add element inet synward fate { 0x30 : drop";
            for (unsigned i = 0; i < count; i++)
                elements << ", " << 0x1000 + i << " comment \"fate old\" : " << (i % 2 ? "drop" : "accept");
            elements << " }\n";
        }
        run("nft -f " + path);
        EXPECT_THAT(find().difference, HasSubstr("which is no fate any more"));
        install();
        EXPECT_EQ(state(), RuleState::exact);
        EXPECT_EQ(find().foreign, 1u);
        EXPECT_THAT(output("nft list map inet synward fate"), Not(HasSubstr("fate old")));
    }
    std::remove(path.c_str());
}

TEST_F(FateRuleTest, WhoIsNeverQuickEnoughIsToldSo) {
    const auto restarted = fate_table::fail_table({.error = ERESTART}, "cannot");
    EXPECT_EQ(restarted.value().code, ErrorCode::busy);
    install();
    // A long reading, and a ruleset that changes all the time.
    {
        std::ofstream elements(testing::TempDir() + "synward-foreign.nft");
        elements << "add element inet synward fate { 0x30 : drop";
        for (unsigned i = 0; i < 20'000; i++) elements << ", " << 0x1000 + i << " : drop";
        elements << " }\n";
    }
    run("nft -f " + testing::TempDir() + "synward-foreign.nft");
    std::remove((testing::TempDir() + "synward-foreign.nft").c_str());
    std::atomic<bool> stop = false;
    std::thread changes([&] {
        auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
        while (socket && !stop) {
            nft::Transaction transaction;
            transaction.table(NFT_MSG_NEWTABLE, NLM_F_CREATE, nft::our_table().get());
            transaction.chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, nft::our_chain("other").get());
            transaction.chain(NFT_MSG_DELCHAIN, 0, nft::our_chain("other").get());
            (void)transaction.commit(*socket);
        }
    });
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    auto found = find_fate_rule({});
    while (found && std::chrono::steady_clock::now() < deadline) found = find_fate_rule({});
    stop = true;
    changes.join();
    ASSERT_FALSE(found) << "each of many readings fell between two changes";
    EXPECT_EQ(found.error().code, ErrorCode::busy) << found.error().message;
    EXPECT_THAT(found.error().message, HasSubstr("changed the ruleset each of 6 times"));
    EXPECT_EQ(state(), RuleState::exact);
}

TEST_F(FateRuleTest, AMapThatSomebodyUsesIsNotTorn) {
    install();
    run("nft add chain inet synward mine");
    run("nft add rule inet synward mine meta mark vmap @fate");
    const auto removed = remove_fate_rule();
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code, ErrorCode::busy);
    EXPECT_EQ(state(), RuleState::exact) << "nothing half-removed";
}

TEST_F(FateRuleTest, OtherTablesAreNotTouched) {
    run("nft add table ip synward");
    run("nft add chain ip synward classify '{ type filter hook prerouting priority -140; }'");
    run("nft add map ip synward fate '{ type mark : verdict; }'");
    run("nft add table inet filter");
    run("nft add chain inet filter input '{ type filter hook input priority 0; policy drop; }'");
    run("nft add rule inet filter input tcp dport 22 counter accept");
    run("iptables -t mangle -A PREROUTING -j MARK --set-mark 7");
    const std::string before = output("nft -a list ruleset 2>&-");
    install();
    const std::string with = output("nft -a list ruleset 2>&-");
    EXPECT_EQ(with.substr(0, before.size()), before);
    install(with_quarantine());
    remove();
    EXPECT_EQ(output("nft -a list ruleset 2>&-"), before);
}

TEST_F(FateRuleTest, TheQueueRuleLivesBesideIt) {
    ASSERT_TRUE(install_queue_rule({3, 4}));
    install();
    ASSERT_TRUE(find_queue_rule().value());
    remove();
    EXPECT_TRUE(find_queue_rule().value());
    install();
    ASSERT_TRUE(remove_queue_rule());
    EXPECT_EQ(state(), RuleState::exact);
    remove();
    EXPECT_EQ(output("nft list ruleset"), "");
}

}  // namespace
}  // namespace synward
