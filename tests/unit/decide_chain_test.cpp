// SPDX-License-Identifier: GPL-2.0-or-later
// What the chain decides, event by event, and what an attacker who forges
// sources can make it do. docs/deciding.md names these attacks.
#include <cstring>
#include <functional>
#include <random>

#include "decide_fixture.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(DecideTest, WhatNobodyDecidesTakesTheServicesDefault) {
    FlowEvent e = event(EventKind::other, "192.0.2.1");
    Decision d = decide(e, second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_DROP);
    EXPECT_EQ(d.verdict.id, 7u);
    EXPECT_EQ(d.reason, DecisionReason::service_default);
    EXPECT_EQ(d.service, 3);
    e.destination_port = 80;
    d = decide(e, second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(d.service, 2);
    // A stray of somebody unknown while nobody has read the kernel's connections.
    EXPECT_EQ(decide(event(EventKind::stray, "192.0.2.1"), second).reason, DecisionReason::service_default);
}

TEST_F(DecideTest, AProvenSourceMaySendAStray) {
    handshakes("192.0.2.1", 1, 100 * second);
    know({}, 100 * second);
    const Decision d = decide(event(EventKind::stray, "192.0.2.1"), 110 * second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(d.decider, DeciderId::completion);
    EXPECT_THAT(words(d), ElementsAre("stray pass 192.0.2.1"));
    EXPECT_EQ(d.actions()[0].key.service, 3);
    EXPECT_EQ(d.actions()[0].decider, DeciderId::completion);
    EXPECT_EQ(d.actions()[0].reason, DecisionReason::proven);
    EXPECT_EQ(d.actions()[0].lifetime_ms, 500u);
    EXPECT_EQ(d.actions()[0].key.subject[0], raw("192.0.2.1")[0]);
    EXPECT_EQ(decide(event(EventKind::stray, "192.0.2.2"), 110 * second).verdict.kind, SW_VERDICT_DROP);
}

TEST_F(DecideTest, AProofIsForgotten) {
    handshakes("192.0.2.1", 1, 100 * second);
    know({}, 699 * second);
    EXPECT_EQ(decide(event(EventKind::stray, "192.0.2.1"), 699 * second).verdict.kind, SW_VERDICT_ACCEPT);
    know({}, 720 * second);
    EXPECT_EQ(decide(event(EventKind::stray, "192.0.2.1"), 720 * second).verdict.kind, SW_VERDICT_DROP);
}

TEST_F(DecideTest, AnAcceptedPacketLosesItsQuestionMark) {
    config.accept_mark = 0x00120000;
    config.accept_mask = 0x00ff0000;
    handshakes("192.0.2.1", 1, second);
    const Verdict v = decide(event(EventKind::stray, "192.0.2.1"), 2 * second).verdict;
    EXPECT_EQ(v.mark, 0x00120000u);
    EXPECT_EQ(v.mask, 0x00ffff00u);
    EXPECT_EQ(decide(event(EventKind::other, "192.0.2.9"), 2 * second).verdict.mask, 0u) << "dropped";
}

// Nobody counts while a pass ticket lasts: it must not be had all the time.
TEST_F(DecideTest, APassTicketIsShortAndSeldom) {
    handshakes("192.0.2.1", 1, second);
    std::uint64_t open_ms = 0;
    for (std::uint64_t now = 2 * second; now < 302 * second; now += second / 10) {
        const Decision d = decide(event(EventKind::stray, "192.0.2.1"), now);
        for (const Action& a : d.actions())
            if (a.ticket_action == SW_ACTION_PASS) open_ms += a.lifetime_ms;
    }
    EXPECT_GT(open_ms, 0u);
    EXPECT_LE(open_ms, 300'000u / 50) << "open more than 2 % of the time";
}

TEST_F(DecideTest, AProvenSourceThatFloodsLosesItsPrivilegeForThatDoubtOnly) {
    handshakes("192.0.2.1", 1, second);
    std::vector<std::string> tickets;
    unsigned accepted = 0;
    for (int i = 0; i < 1000; i++) {
        const Decision d = decide(event(EventKind::stray, "192.0.2.1"), 2 * second + i * second / 1000);
        accepted += d.verdict.kind == SW_VERDICT_ACCEPT;
        for (const auto& w : words(d)) tickets.push_back(w);
    }
    EXPECT_NEAR(accepted, config.proven.burst, config.proven.per_second);
    EXPECT_THAT(tickets, ElementsAre("stray pass 192.0.2.1", "stray drop 192.0.2.1"));
    EXPECT_EQ(decide(event(EventKind::fragment, "192.0.2.1"), 3 * second).verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(decide(shaped(EventKind::syn, "192.0.2.1", 1), 3 * second).verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(decide(event(EventKind::stray, "192.0.2.1"), 20 * second).verdict.kind, SW_VERDICT_ACCEPT)
        << "not for ever";
}

// Attack: SYNs with the forged source of somebody who is proven.
TEST_F(DecideTest, SpoofedSynsNeverMakeADropTicketForTheirSource) {
    handshakes("192.0.2.1", 1, second);
    for (int i = 0; i < 5000; i++)
        for (const std::string source : {"192.0.2.1", "192.0.2.2"})
            for (const auto& w : words(decide(shaped(EventKind::syn, source, 5), 2 * second + i * 100'000)))
                EXPECT_TRUE(w == "shape drop" || w == "syn pass 192.0.2.1") << w;
}

// Attack: strays, fragments and malformed packets with a victim's source.
TEST_F(DecideTest, SpoofingOneDoubtSaysNothingOfAnother) {
    know({}, second);
    for (const EventKind kind : {EventKind::stray, EventKind::fragment, EventKind::malformed})
        for (int i = 0; i < 500; i++) {
            const Decision d = decide(event(kind, "192.0.2.1"), 2 * second + i * 1'000'000);
            for (const Action& a : d.actions()) {
                EXPECT_NE(a.kind, Action::Kind::set) << "a forged source must not get into the deny set";
                if (a.kind != Action::Kind::ticket) continue;
                EXPECT_EQ(a.key.doubt, *event_doubt(kind));
                EXPECT_LE(a.lifetime_ms, 10'000u);
            }
        }
    // The victim's own SYN, ever so odd, and then its handshake.
    EXPECT_EQ(decide(shaped(EventKind::syn, "192.0.2.1", 9), 3 * second).verdict.kind, SW_VERDICT_ACCEPT);
    const Decision d = decide(event(EventKind::handshake, "192.0.2.1"), 3 * second);
    EXPECT_EQ(d.reason, DecisionReason::noted);
}

TEST_F(DecideTest, AStrayOfAKnownConnectionPasses) {
    const FlowEvent known = event(EventKind::stray, "198.18.0.5", 1234);
    know({known}, second);
    Decision d = decide(known, 2 * second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(d.reason, DecisionReason::known_flow);
    EXPECT_THAT(words(d), IsEmpty());
    // A connection that XDP cannot see must not live on the budget.
    std::vector<std::string> tickets;
    for (int i = 0; i < 100; i++) {
        d = decide(known, 2 * second + i * 1'000'000);
        EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
        for (const auto& w : words(d)) tickets.push_back(w);
    }
    EXPECT_THAT(tickets, ElementsAre("stray pass 198.18.0.5"));
}

TEST_F(DecideTest, AnUnknownStrayIsDroppedAndTheThirdRepeatMakesATicket) {
    know({}, second);
    std::vector<std::string> tickets;
    for (int i = 0; i < 20; i++) {
        const Decision d = decide(event(EventKind::stray, "198.18.0.5"), 2 * second + i * 1'000'000);
        EXPECT_EQ(d.reason, DecisionReason::unknown_flow);
        if (i < 3) {
            EXPECT_THAT(words(d), IsEmpty()) << i;
        }
        for (const auto& w : words(d)) tickets.push_back(w);
    }
    EXPECT_THAT(tickets, ElementsAre("stray drop 198.18.0.5"));
    // A filter that is too old says nothing.
    EXPECT_EQ(decide(event(EventKind::stray, "198.18.0.6"), 70 * second).reason,
              DecisionReason::service_default);
}

// Attack: strays with the source of somebody whose connection only the daemon knows.
TEST_F(DecideTest, ForgedStraysDoNotBreakAKnownConnection) {
    const FlowEvent known = event(EventKind::stray, "198.18.0.5", 1234);
    know({known}, second);
    for (int i = 0; i < 2000; i++) {
        const auto port = static_cast<std::uint16_t>(2000 + i);
        const Decision d = decide(event(EventKind::stray, "198.18.0.5", port), 2 * second + i * 100'000);
        EXPECT_THAT(words(d), testing::Not(testing::Contains("stray drop 198.18.0.5")));
    }
    EXPECT_EQ(decide(known, 3 * second).verdict.kind, SW_VERDICT_ACCEPT);
}

// A connection that XDP cannot see (DNAT) of a source that is proven by another:
// neither its own packets nor strays that somebody forges may cut it.
TEST_F(DecideTest, NothingCutsAKnownConnectionOfAProvenSource) {
    const std::vector<EventKind> kinds{EventKind::stray, EventKind::synack, EventKind::reset};
    std::uint64_t now = second;
    for (const std::string source : {"198.18.0.5", "2001:db8:5::5"})
        for (const EventKind kind : kinds) {
            const FlowEvent known = event(kind, source, 1234);
            now += 100 * second;
            handshakes(source, 1, now);
            know({known}, now);
            for (unsigned i = 0; i < 2000; i++) {
                const Decision d = decide(known, now += second / 1000);
                ASSERT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT) << event_kind_name(kind) << " " << i;
                EXPECT_EQ(d.decider, DeciderId::strays);
                EXPECT_EQ(d.reason, DecisionReason::known_flow);
                for (const auto& w : words(d)) EXPECT_EQ(w, "stray pass " + source);
            }
            unsigned accepted = 0;
            for (unsigned i = 0; i < 2000; i++) {
                const auto port = static_cast<std::uint16_t>(2000 + i);
                const Decision forged = decide(event(kind, source, port), now += second / 1000);
                accepted += forged.verdict.kind == SW_VERDICT_ACCEPT;
                EXPECT_THAT(words(forged), testing::Not(testing::Contains("stray drop " + source)));
                ASSERT_EQ(decide(known, now).verdict.kind, SW_VERDICT_ACCEPT) << i;
            }
            EXPECT_NEAR(accepted, config.proven.burst + 2 * config.proven.per_second, 2)
                << "what is not known has the rate of a proven source";
        }
}

// When its last known connection is gone for two readings, a source is like any other.
TEST_F(DecideTest, APrivilegeIsRevokedOnceNoConnectionIsKnown) {
    handshakes("198.18.0.5", 1, second);
    know({event(EventKind::stray, "198.18.0.5", 1234)}, second);
    std::vector<std::string> tickets;
    auto flood = [&](std::uint64_t from) {
        for (unsigned i = 0; i < 200; i++)
            for (const auto& w : words(decide(event(EventKind::stray, "198.18.0.5"), from + i * 100'000)))
                tickets.push_back(w);
    };
    flood(2 * second);
    EXPECT_THAT(tickets, ElementsAre("stray pass 198.18.0.5"));
    know({}, 20 * second);
    know({}, 20 * second);
    flood(20 * second);
    EXPECT_THAT(tickets, ElementsAre("stray pass 198.18.0.5", "stray drop 198.18.0.5"));
}

// The same when the kernel's connections were last read too long ago, and rates judge strays.
TEST_F(DecideTest, ForgedStraysDoNotBreakAConnectionThatWasKnownLongAgo) {
    const FlowEvent known = event(EventKind::stray, "198.18.0.5", 1234);
    know({known}, second);
    unsigned over = 0;
    for (unsigned i = 0; i < 500; i++) {
        const Decision d = decide(event(EventKind::stray, "198.18.0.5"), 100 * second + i * 1'000'000);
        EXPECT_THAT(words(d), IsEmpty());
        over += d.reason == DecisionReason::host_rate;
    }
    EXPECT_GT(over, 400u);
    EXPECT_EQ(decide(known, 101 * second).reason, DecisionReason::known_flow);
}

// Attack: strays of random sources, so that whatever lives on the escalation budget starves.
TEST_F(DecideTest, RandomStraysDoNotKeepAKnownConnectionFromItsPassTicket) {
    const FlowEvent known = event(EventKind::stray, "198.18.0.5", 1234);
    know({known}, second);
    std::mt19937 random(3);
    FlowEvent stranger = event(EventKind::stray, "198.18.0.6");
    std::vector<std::string> tickets;
    std::uint64_t now = 2 * second;
    for (unsigned i = 0; i < 10; i++) {  // twenty a second
        for (const auto& w : words(decide(known, now))) tickets.push_back(w);
        for (unsigned j = 0; j < 10'000; j++) {
            stranger.source[0] = static_cast<std::uint32_t>(random());
            (void)decide(stranger, now += 5'000);
        }
    }
    EXPECT_THAT(tickets, ElementsAre("stray pass 198.18.0.5"));
}

TEST_F(DecideTest, ANetProvenAsAWholeGetsALittle) {
    for (int i = 1; i <= 7; i++) handshakes("198.18.9." + std::to_string(i), 1, second);
    know({}, second);
    EXPECT_EQ(decide(event(EventKind::stray, "198.18.9.200"), 2 * second).reason,
              DecisionReason::unknown_flow);
    handshakes("198.18.9.8", 1, second);
    unsigned accepted = 0;
    for (int i = 0; i < 200; i++) {
        const Decision d =
            decide(event(EventKind::stray, "198.18.9." + std::to_string(20 + i)), 2 * second + i * 1'000'000);
        EXPECT_THAT(words(d), IsEmpty());
        accepted += d.reason == DecisionReason::neighbour;
    }
    EXPECT_NEAR(accepted, config.neighbour.burst, 3);
}

TEST_F(DecideTest, ANormalShapePassesAndGetsATicketByShape) {
    for (int i = 0; i < 8; i++)
        (void)decide(shaped(EventKind::shape, "198.18.0." + std::to_string(i), 0x204), second);
    const FlowEvent e = shaped(EventKind::syn, "192.0.2.3", 0x204);
    const Decision d = decide(e, 2 * second);
    EXPECT_EQ(d.reason, DecisionReason::shape_normal);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
    ASSERT_THAT(words(d), ElementsAre("shape pass"));
    EXPECT_EQ(std::memcmp(d.actions()[0].key.subject, &e.shape, sizeof e.shape), 0);
    EXPECT_EQ(d.actions()[0].key.family, SW_IPV4);
    FlowEvent elsewhere = e;
    elsewhere.destination_port = 80;
    EXPECT_EQ(decide(elsewhere, 2 * second).reason, DecisionReason::shape_rare)
        << "normal for another service";
}

TEST_F(DecideTest, AShapeCountsDoubleOfAProvenSource) {
    handshakes("192.0.2.3", 1, second);
    for (int i = 0; i < 4; i++) (void)decide(shaped(EventKind::shape, "192.0.2.3", 0x204), second);
    EXPECT_EQ(decide(shaped(EventKind::syn, "192.0.2.4", 0x204), 2 * second).reason,
              DecisionReason::shape_normal);
}

TEST_F(DecideTest, AnUnknownShapeMayComeSlowly) {
    for (int i = 0; i < 100; i++) {
        const Decision d = decide(shaped(EventKind::syn, "192.0.2.4", 0x77), second + i * second / 5);
        EXPECT_EQ(d.reason, DecisionReason::shape_rare) << i;
        EXPECT_THAT(words(d), IsEmpty());
    }
}

TEST_F(DecideTest, ShapesThatAreAllDifferentAreAFloodToo) {
    unsigned accepted = 0;
    for (unsigned i = 0; i < 1000; i++) {
        const Decision d = decide(shaped(EventKind::syn, "192.0.2.4", 0x1000 + i), second + i * 1'000'000);
        EXPECT_THAT(words(d), IsEmpty());
        accepted += d.verdict.kind == SW_VERDICT_ACCEPT;
    }
    EXPECT_NEAR(accepted, config.shape_variety.burst + config.shape_variety.per_second, 2);
}

TEST_F(DecideTest, FragmentsPassAndMalformedPacketsDoNotAsConfigured) {
    EXPECT_EQ(decide(event(EventKind::fragment, "192.0.2.4"), second).verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(decide(event(EventKind::malformed, "192.0.2.4"), second).verdict.kind, SW_VERDICT_DROP);
}

TEST_F(DecideTest, AHostOverItsRateGetsATicketANetDoesNot) {
    std::vector<std::string> tickets;
    for (unsigned i = 0; i < 200; i++)
        for (const auto& w : words(decide(event(EventKind::fragment, "192.0.2.4"), second + i * 1'000'000)))
            tickets.push_back(w);
    EXPECT_THAT(tickets, ElementsAre("fragment drop 192.0.2.4"));
    // Forged sources all over a /24.
    unsigned dropped = 0;
    for (unsigned i = 0; i < 2000; i++) {
        const Decision d = decide(event(EventKind::fragment, "198.18.77." + std::to_string(i % 250)),
                                  second + i * 1'000'000);
        EXPECT_THAT(words(d), IsEmpty());
        dropped += d.reason == DecisionReason::net_rate;
    }
    EXPECT_GT(dropped, 1000u);
    EXPECT_EQ(decide(event(EventKind::fragment, "198.18.78.1"), 3 * second).verdict.kind, SW_VERDICT_ACCEPT);
}

TEST_F(DecideTest, AConnectionFloodGoesIntoTheDenySetOnce) {
    std::vector<std::string> entries;
    for (unsigned i = 0; i < 4000; i++) {
        const Decision d = decide(event(EventKind::handshake, "192.0.2.4"), second + i * 1'000'000);
        for (const auto& w : words(d)) entries.push_back(w);
    }
    EXPECT_THAT(entries, ElementsAre("deny 192.0.2.4/32"));
}

TEST_F(DecideTest, AnIpv6SiteIsDeniedAsAWhole) {
    config.site_connections = {10, 20};
    std::vector<std::string> entries;
    for (unsigned i = 0; i < 100; i++) {
        const std::string source = "2001:db8:5:" + std::to_string(i) + "::1";
        for (const auto& w : words(decide(event(EventKind::handshake, source), second))) entries.push_back(w);
    }
    EXPECT_THAT(entries, ElementsAre("deny 2001:db8:5::/48"));
}

TEST_F(DecideTest, ADryRunOnlySaysWhatItWouldDo) {
    config.dry_run = true;
    handshakes("192.0.2.1", 1, second);
    know({}, second);
    Decision d = decide(event(EventKind::stray, "192.0.2.1"), 2 * second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_DROP) << "the service's default";
    EXPECT_EQ(d.verdict.mask, 0u);
    EXPECT_EQ(d.wanted, Opinion::accept);
    EXPECT_THAT(d.actions(), IsEmpty());
    EXPECT_THAT(words(d, true), ElementsAre("stray pass 192.0.2.1"));
    FlowEvent other = event(EventKind::stray, "192.0.2.2");
    other.destination_port = 80;
    d = decide(other, 2 * second);
    EXPECT_EQ(d.verdict.kind, SW_VERDICT_ACCEPT);
    EXPECT_EQ(d.wanted, Opinion::drop);
}

TEST_F(DecideTest, TheSameEventsMakeTheSameDecisions) {
    const auto text = [this] {
        std::string all;
        DecideShared state(config, keys);
        Chain again(config, state, keys);
        for (unsigned i = 0; i < 3000; i++) {
            Decision d;
            FlowEvent e = shaped(static_cast<EventKind>(i % 9), "198.18.0." + std::to_string(i % 37), i % 5);
            again.decide(e, second + i * 5'000'000, d);
            all += std::to_string(d.verdict.kind) + std::string(decision_reason_name(d.reason));
            for (const auto& w : words(d)) all += w;
        }
        return all;
    };
    // Other hash keys, the same decisions.
    EXPECT_EQ(text(), text());
}

TEST(DecideConfig, TellsWhatIsOutOfRange) {
    EXPECT_TRUE(check({}));
    auto wrong = [](const std::function<void(DecideConfig&)>& change) {
        DecideConfig config;
        change(config);
        const auto result = check(config);
        return result ? std::string("accepted") : result.error().message;
    };
    EXPECT_THAT(wrong([](auto& c) { c.proven_sources = 1; }),
                HasSubstr("proven_sources is 1; allowed are 64 to"));
    EXPECT_THAT(wrong([](auto& c) { c.proven.burst = 0; }), HasSubstr("proven.burst"));
    EXPECT_THAT(wrong([](auto& c) { c.revoke = std::chrono::milliseconds(-5); }),
                HasSubstr("revoke is -5 ms"));
    EXPECT_THAT(wrong([](auto& c) { c.deny = std::chrono::hours(24 * 30); }), HasSubstr("deny"));
    EXPECT_THAT(wrong([](auto& c) { c.deny_set[SW_IPV6].clear(); }), HasSubstr("deny_set"));
    EXPECT_THAT(wrong([](auto& c) { c.deny_set[0] = std::string(32, 'x'); }), HasSubstr("deny_set"));
    EXPECT_THAT(wrong([](auto& c) { c.accept_mask = 0x8000; }), HasSubstr("accept_mask is 0x8000"));
    EXPECT_THAT(wrong([](auto& c) { c.accept_mark = 0x120, c.accept_mask = 0xff; }),
                HasSubstr("accept_mark is 0x120, of which accept_mask (0xff) lets only 0x20 through"));
}

}  // namespace
}  // namespace synward
