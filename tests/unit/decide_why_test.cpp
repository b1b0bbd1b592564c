// SPDX-License-Identifier: GPL-2.0-or-later
// `synward why`: what is told of a source, also while another thread decides.
#include <chrono>
#include <thread>

#include "decide_fixture.h"

namespace synward {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(DecideTest, WhyTellsOfAStranger) {
    const Chain* chains[] = {&chain()};
    const Explanation e = why(*Address::parse("192.0.2.1"), chains, second);
    EXPECT_TRUE(e.proofs.empty() && e.rates.empty() && e.decisions.empty());
    EXPECT_EQ(explanation_text(e),
              "192.0.2.1\n"
              "  no completed handshake is remembered\n"
              "  the kernel's connections have not been read\n"
              "  no decision on it is remembered\n");
    EXPECT_EQ(explanation_json(e)["known_flows"], "unread");
}

TEST_F(DecideTest, WhyTellsProofsRatesTicketsAndDecisions) {
    handshakes("192.0.2.1", 2, 10 * second);
    know({}, 10 * second);
    for (int i = 0; i < 101; i++) (void)decide(event(EventKind::stray, "192.0.2.1"), 20 * second);
    (void)decide(event(EventKind::stray, "192.0.2.2"), 20 * second);
    const Chain* chains[] = {&chain()};
    const Explanation e = why(*Address::parse("192.0.2.1"), chains, 25 * second);

    ASSERT_EQ(e.proofs.size(), 2u);
    EXPECT_EQ(e.proofs[0].prefix.to_string(), "192.0.2.1");
    EXPECT_EQ(e.proofs[0].handshakes, 2u);
    EXPECT_NEAR(e.proofs[0].ago, 15, 0.6);
    EXPECT_EQ(e.proofs[1].prefix.to_string(), "192.0.2.0/24");
    EXPECT_EQ(e.flows, Explanation::Flows::none);
    bool over = false;
    for (const auto& rate : e.rates)
        over |= rate.over && rate.what == "stray" && rate.decider == DeciderId::completion;
    EXPECT_TRUE(over);

    ASSERT_FALSE(e.decisions.empty());
    EXPECT_LE(e.decisions.size(), 32u);
    const auto drop = std::find_if(e.decisions.begin(), e.decisions.end(),
                                   [](const LogRecord& r) { return r.ticket && r.ticket_drop; });
    ASSERT_NE(drop, e.decisions.end()) << "the ticket is not among what is shown";
    EXPECT_EQ(drop->reason, DecisionReason::proven_over_rate);
    EXPECT_EQ(drop->lifetime_ms, 10'000u);
    for (const LogRecord& r : e.decisions) EXPECT_EQ(r.source, raw("192.0.2.1"));

    const std::string text = explanation_text(e);
    EXPECT_THAT(text, HasSubstr("192.0.2.1: 2 handshakes completed"));
    EXPECT_THAT(text, HasSubstr("ticket for the source: drop for 10 s"));
    EXPECT_THAT(text, HasSubstr("over its limit"));
    const auto json = explanation_json(e);
    EXPECT_EQ(json["address"], "192.0.2.1");
    EXPECT_EQ(json["handshakes"][0]["handshakes"], 2);
    EXPECT_EQ(json["decisions"].size(), e.decisions.size());
    EXPECT_NO_THROW((void)json.dump());
}

TEST_F(DecideTest, WhyTellsThatAKnownConnectionOfAProvenSourceIsAccepted) {
    const FlowEvent known = event(EventKind::stray, "192.0.2.1");
    handshakes("192.0.2.1", 1, 10 * second);
    know({known}, 10 * second);
    for (int i = 0; i < 200; i++) (void)decide(known, 20 * second);
    const Chain* chains[] = {&chain()};
    const Explanation e = why(*Address::parse("192.0.2.1"), chains, 21 * second);
    EXPECT_EQ(e.flows, Explanation::Flows::some);
    ASSERT_FALSE(e.decisions.empty());
    for (const LogRecord& r : e.decisions) {
        EXPECT_EQ(r.decider, DeciderId::strays);
        EXPECT_EQ(r.reason, DecisionReason::known_flow);
        EXPECT_FALSE(r.dropped || r.ticket_drop);
    }
    const std::string text = explanation_text(e);
    EXPECT_THAT(text, HasSubstr("the kernel has this connection; ticket for the source: pass for 1 s"));
    EXPECT_THAT(text, Not(HasSubstr("over its limit")));
}

TEST_F(DecideTest, WhyMergesWorkersAndShowsAHostOfIpv6) {
    Chain second_worker(config, shared(), keys);
    Decision d;
    chain().decide(event(EventKind::malformed, "2001:db8:1:2::3"), second, d);
    second_worker.decide(event(EventKind::fragment, "2001:db8:1:2::9"), 2 * second, d);
    const Chain* chains[] = {&chain(), &second_worker};
    const Explanation e = why(*Address::parse("2001:db8:1:2::1"), chains, 3 * second);
    ASSERT_EQ(e.decisions.size(), 2u) << "one machine has all of a /64";
    EXPECT_EQ(e.decisions[0].kind, EventKind::fragment);
    EXPECT_EQ(e.decisions[1].kind, EventKind::malformed);
    EXPECT_EQ(e.decisions[1].source, raw("2001:db8:1:2::3"));
}

TEST_F(DecideTest, WhySaysThatADryRunDidNothing) {
    config.dry_run = true;
    handshakes("192.0.2.1", 1, second);
    (void)decide(event(EventKind::stray, "192.0.2.1"), 2 * second);
    const Chain* chains[] = {&chain()};
    const std::string text = explanation_text(why(*Address::parse("192.0.2.1"), chains, 3 * second));
    EXPECT_THAT(text, HasSubstr("dry run"));
    EXPECT_THAT(text, HasSubstr("would have given a ticket for the source: pass"));
}

TEST(DecisionLog, KeepsTheLastAndFindsBySource) {
    DecisionLog log(16);
    Decision d;
    for (unsigned i = 0; i < 100; i++)
        log.append(DecideTest::event(EventKind::stray, i % 2 ? "192.0.2.1" : "192.0.2.2"), i + 1, d);
    const auto found = log.find(DecideTest::raw("192.0.2.1"), SW_IPV4, 100);
    ASSERT_EQ(found.size(), 8u);
    EXPECT_EQ(found.front().time, 100u);
    EXPECT_EQ(found.back().time, 86u);
    EXPECT_EQ(log.find(DecideTest::raw("192.0.2.1"), SW_IPV4, 3).size(), 3u);
}

// For the thread sanitizer, and: no record is ever half of one and half of another.
TEST_F(DecideTest, WhyAnswersWhileWorkersDecideAndTheControlThreadLearns) {
    config.log_decisions = 64;  // overwritten all the time
    config.log_actions = 64;
    (void)chain();
    Chain worker(config, shared(), keys);
    Chain control(config, shared(), keys);
    std::atomic<bool> stop{false};
    auto decide_until_stopped = [&](Chain& by, unsigned seed) {
        Decision d;
        for (std::uint64_t i = 1; !stop.load(std::memory_order_relaxed); i++) {
            // Port and time say the same.
            FlowEvent e = shaped(static_cast<EventKind>(i % 6), "192.0.2.1", i % 3);
            e.source_port = static_cast<std::uint16_t>(i);
            e.destination_port = static_cast<std::uint16_t>(~i);
            by.decide(e, i + (std::uint64_t{seed} << 48), d);
        }
    };
    std::thread one([&] { decide_until_stopped(chain(), 1); });
    std::thread two([&] { decide_until_stopped(worker, 2); });
    std::thread teacher([&] {
        Decision d;
        CompiledPolicy policy;
        for (std::uint64_t i = 1; !stop.load(std::memory_order_relaxed); i++) {
            control.decide(event(EventKind::handshake, "192.0.2.1"), i, d);
            control.decide(shaped(EventKind::shape, "192.0.2.1", i % 3), i, d);
            if (i % 64 == 0) know({event(EventKind::stray, "192.0.2.1")}, i);
            if (i % 256 == 0) (void)shared().services.load(policy);
        }
    });
    const Chain* chains[] = {&chain(), &worker, &control};
    std::size_t seen = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (seen < 2000 && std::chrono::steady_clock::now() < end) {
        const Explanation e = why(*Address::parse("192.0.2.1"), chains, std::uint64_t{3} << 48);
        for (const LogRecord& r : e.decisions) {
            if (r.kind == EventKind::handshake) continue;
            seen++;
            ASSERT_EQ(r.source_port, static_cast<std::uint16_t>(r.time));
            ASSERT_EQ(r.destination_port, static_cast<std::uint16_t>(~r.source_port));
        }
        EXPECT_NO_THROW((void)explanation_json(e).dump());
    }
    stop = true;
    one.join();
    two.join();
    teacher.join();
    EXPECT_GE(seen, 2000u);
}

}  // namespace
}  // namespace synward
