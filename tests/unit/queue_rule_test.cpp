// SPDX-License-Identifier: GPL-2.0-or-later
// The rule that brings packets to the queues, in a namespace of the test's own.
#include "lib/escalation/queue_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "namespace.h"

namespace synward {
namespace {

using testing::HasSubstr;
using testing::Not;

class QueueRuleTest : public testing::Test {
  protected:
    static void install(const QueueRange& queues) {
        const auto installed = install_queue_rule(queues);
        ASSERT_TRUE(installed) << installed.error().message;
        EXPECT_EQ(installed->queues, queues);
    }
    static std::optional<QueueRule> find() {
        const auto found = find_queue_rule();
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(std::nullopt);
    }
    static void remove() {
        const auto removed = remove_queue_rule();
        EXPECT_TRUE(removed) << removed.error().message;
    }

    TestNamespace space_;
};

TEST_F(QueueRuleTest, ItIsMadeFoundAndRemoved) {
    EXPECT_FALSE(find());
    install({100, 103});
    const auto found = find();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->queues, (QueueRange{100, 103}));
    EXPECT_EQ(found->packets, 0u);
    const std::string ruleset = output("nft list ruleset");
    EXPECT_THAT(ruleset, HasSubstr("table inet synward"));
    EXPECT_THAT(ruleset, HasSubstr("chain escalate"));
    EXPECT_THAT(ruleset, HasSubstr("prerouting priority raw + 1"));
    EXPECT_THAT(ruleset, HasSubstr("0x00008000"));
    remove();
    EXPECT_FALSE(find());
    EXPECT_EQ(output("nft list ruleset"), "");
    remove();  // again: nothing is there, nothing is wrong
}

TEST_F(QueueRuleTest, ASecondOneTakesThePlaceOfTheFirst) {
    install({1, 1});
    install({1, 1});
    install({5, 9});
    ASSERT_TRUE(find());
    EXPECT_EQ(find()->queues, (QueueRange{5, 9}));
    EXPECT_EQ(output("nft -a list chain inet synward escalate 2>&- | grep -c '0x00008000'"), "1\n");
}

TEST_F(QueueRuleTest, AChainOfThatNameWithAnotherHookIsReplaced) {
    run("nft add table inet synward");
    run("nft add chain inet synward escalate '{ type filter hook output priority 7; }'");
    run("nft add rule inet synward escalate drop");
    EXPECT_FALSE(find());
    install({2, 2});
    ASSERT_TRUE(find());
    EXPECT_THAT(output("nft list ruleset"), Not(HasSubstr("output")));
}

TEST_F(QueueRuleTest, OtherTablesAndChainsAreNotTouched) {
    run("nft add table ip synward");
    run("nft add chain ip synward escalate '{ type filter hook prerouting priority 0; }'");
    run("nft add table inet filter");
    run("nft add chain inet filter input '{ type filter hook input priority 0; }'");
    run("nft add rule inet filter input tcp dport 22 accept");
    const std::string before = output("nft list ruleset");
    install({2, 3});
    remove();
    EXPECT_EQ(output("nft list ruleset"), before);
    // What else is in our own table stays, and keeps it alive.
    install({2, 3});
    run("nft add chain inet synward marks");
    run("nft add rule inet synward marks accept");
    remove();
    EXPECT_THAT(output("nft list table inet synward"), HasSubstr("chain marks"));
    EXPECT_FALSE(find());
    install({2, 3});
    EXPECT_THAT(output("nft list table inet synward"), HasSubstr("chain marks"));
}

TEST_F(QueueRuleTest, RangesOutOfOrderAreRefused) {
    EXPECT_EQ(install_queue_rule({4, 3}).error().code, ErrorCode::usage);
    EXPECT_EQ(install_queue_rule({0, 65535}).error().code, ErrorCode::usage);
    EXPECT_EQ(output("nft list ruleset"), "");
    install({0, 65534});
    ASSERT_TRUE(find());
    EXPECT_EQ(find()->queues, (QueueRange{0, 65534}));
}

}  // namespace
}  // namespace synward
