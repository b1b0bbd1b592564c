// SPDX-License-Identifier: GPL-2.0-or-later
// The text of traces, and whole stories replayed from traces/.
#include <fstream>
#include <map>
#include <sstream>

#include "decide_fixture.h"

namespace synward {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

std::string refusal(std::string_view text) {
    const auto events = parse_trace(text, "t");
    return events ? "accepted" : events.error().message;
}

TEST(Trace, IsReadAndWrittenBack) {
    const std::string text =
        "synward-trace 1\n"
        "# a comment\n"
        "\n"
        "0 handshake 198.18.0.7:40000 203.0.113.1:443\n"
        "1500 stray [2001:db8::7]:40000 [2001:db8::1]:443 reason=stray_ack flags=0x10 ttl=57 window=512 "
        "length=60 "
        "protocol=6 interface=3 mark=0x9d00\n"
        "2000 syn 198.18.9.1:1024 203.0.113.1:443 reason=syn_odd shape=0x20408/32/64/-\n";
    const auto events = parse_trace(text, "t");
    ASSERT_TRUE(events) << events.error().message;
    ASSERT_EQ(events->size(), 3u);
    EXPECT_EQ((*events)[1].time, 1'500'000u);
    EXPECT_EQ((*events)[1].id, 2u);
    EXPECT_EQ((*events)[1].family, SW_IPV6);
    EXPECT_EQ((*events)[1].reason, SW_REASON_STRAY_ACK);
    EXPECT_EQ((*events)[2].shape.wscale, SW_SHAPE_NO_WSCALE);
    EXPECT_EQ((*events)[2].shape.layout, 0x20408u);
    std::string written(trace_header);
    for (const FlowEvent& e : *events) written += "\n" + trace_line(e);
    std::string expected;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (!line.empty() && line[0] != '#') expected += (expected.empty() ? "" : "\n") + line;
    EXPECT_EQ(written, expected);
}

TEST(Trace, RefusesWithLineAndReason) {
    EXPECT_THAT(refusal(""), HasSubstr("empty"));
    EXPECT_THAT(refusal("synward-trace 2\n"),
                HasSubstr("t:1: a trace begins with the line 'synward-trace 1'"));
    const std::string head = "synward-trace 1\n\n";
    EXPECT_THAT(refusal(head + "x stray 1.2.3.4:1 1.2.3.4:2"), HasSubstr("t:3: 'x' is no time"));
    EXPECT_THAT(refusal(head + "99999999999999999999 stray 1.2.3.4:1 1.2.3.4:2"), HasSubstr("no time"));
    EXPECT_THAT(refusal(head + "1 what 1.2.3.4:1 1.2.3.4:2"), HasSubstr("'what'"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4 1.2.3.4:2"), HasSubstr("'1.2.3.4' is no ADDRESS:PORT"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4:70000 1.2.3.4:2"), HasSubstr("ADDRESS:PORT"));
    EXPECT_THAT(refusal(head + "1 stray 2001:db8::1:1 1.2.3.4:2"), HasSubstr("ADDRESS:PORT"));
    EXPECT_THAT(refusal(head + "1 stray [2001:db8::1]:1 1.2.3.4:2"), HasSubstr("different families"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4:1"), HasSubstr("ADDRESS:PORT"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4:1 1.2.3.4:2 ttl=300"),
                HasSubstr("'300' is no number that ttl"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4:1 1.2.3.4:2 reason=nonsense"), HasSubstr("'nonsense'"));
    EXPECT_THAT(refusal(head + "1 syn 1.2.3.4:1 1.2.3.4:2 shape=1/2/3"), HasSubstr("LAYOUT/HEADER"));
    EXPECT_THAT(refusal(head + "1 syn 1.2.3.4:1 1.2.3.4:2 shape=1/2/3/4/5"), HasSubstr("LAYOUT/HEADER"));
    EXPECT_THAT(refusal(head + "1 stray 1.2.3.4:1 1.2.3.4:2 colour=red"), HasSubstr("unknown key 'colour'"));
    EXPECT_THAT(refusal(head + "2 stray 1.2.3.4:1 1.2.3.4:2\n1 stray 1.2.3.4:1 1.2.3.4:2"),
                HasSubstr("t:4: time goes backwards"));
}

// A trace and what was decided on each of its events.
struct DecideTraceTest : DecideTest {
    struct Step {
        FlowEvent event;
        Decision decision;
    };

    // Traces begin at time 0; the clock does not.
    static constexpr std::uint64_t start = 1000 * second;

    std::vector<Step> replay(const std::string& name) {
        std::ifstream file(std::string(SYNWARD_TRACES "/") + name + ".trace");
        std::ostringstream text;
        text << file.rdbuf();
        const auto events = parse_trace(text.str(), name);
        EXPECT_TRUE(events) << (events ? "" : events.error().message);
        std::vector<Step> steps;
        if (!events) return steps;
        for (const FlowEvent& e : *events) {
            // As the daemon does: the kernel's connections are read again and again.
            if (refresh && e.time >= refreshed + 20 * second) know({}, start + (refreshed = e.time));
            steps.push_back({e, decide(e, start + e.time)});
        }
        return steps;
    }

    static std::vector<std::string> tickets(const std::vector<Step>& steps) {
        std::vector<std::string> all;
        for (const Step& s : steps)
            for (const auto& w : words(s.decision)) all.push_back(w);
        return all;
    }
    template <typename Wanted>
    static unsigned count(const std::vector<Step>& steps, Wanted&& wanted) {
        return static_cast<unsigned>(std::count_if(steps.begin(), steps.end(), wanted));
    }
    static bool from(const Step& s, const char* address) {
        return to_address(s.event.source, s.event.family).to_string() == address;
    }

    bool refresh = true;
    std::uint64_t refreshed = 0;
};

TEST_F(DecideTraceTest, SpoofedStrayFlood) {
    know({}, start);
    const auto steps = replay("spoofed-stray-flood");
    ASSERT_EQ(steps.size(), 477u);
    for (const Step& s : steps) {
        if (from(s, "192.0.2.10") || from(s, "192.0.2.66")) continue;
        EXPECT_EQ(s.decision.reason, DecisionReason::unknown_flow);
        EXPECT_THAT(words(s.decision), IsEmpty()) << "a source that comes once";
    }
    // The proven client's stray is answered by the kernel; the forged source is
    // dropped for a while, but its owner connects and is then believed again.
    EXPECT_THAT(tickets(steps),
                ElementsAre("stray drop 192.0.2.66", "stray pass 192.0.2.10", "stray pass 192.0.2.66"));
    for (const Step& s : steps) {
        if (from(s, "192.0.2.10") && s.event.kind == EventKind::stray) {
            EXPECT_EQ(s.decision.verdict.kind, SW_VERDICT_ACCEPT);
        }
        if (from(s, "192.0.2.66") && s.event.kind == EventKind::syn) {
            EXPECT_EQ(s.decision.verdict.kind, SW_VERDICT_ACCEPT);
        }
    }
    EXPECT_EQ(steps.back().decision.reason, DecisionReason::proven);
}

TEST_F(DecideTraceTest, OddSynFlood) {
    const auto steps = replay("odd-syn-flood");
    std::map<std::uint64_t, std::map<DecisionReason, unsigned>> by_shape;
    for (const Step& s : steps)
        if (s.event.kind == EventKind::syn && !from(s, "192.0.2.20"))
            by_shape[s.event.time < 30 * second ? s.event.shape.layout : 0][s.decision.reason]++;
    EXPECT_EQ(by_shape[0x204080103][DecisionReason::shape_normal], 10u);
    EXPECT_EQ(by_shape[0x2010101][DecisionReason::shape_rare], 29u) << "a burst of 20, and 10 a second";
    EXPECT_EQ(by_shape[0x2010101][DecisionReason::shape_flood], 371u - 0u);
    EXPECT_EQ(by_shape[0][DecisionReason::shape_variety] + by_shape[0][DecisionReason::shape_rare], 300u);
    EXPECT_GT(by_shape[0][DecisionReason::shape_variety], 60u);
    EXPECT_EQ(count(steps,
                    [](const Step& s) {
                        return from(s, "192.0.2.20") && s.event.kind == EventKind::syn &&
                               s.decision.reason == DecisionReason::proven;
                    }),
              1u);
    // By shape, and by source only for whoever proved itself.
    EXPECT_THAT(tickets(steps), UnorderedElementsAre("shape pass", "shape drop", "syn pass 192.0.2.20"));
}

TEST_F(DecideTraceTest, ReconnectAfterRestart) {
    const auto steps = replay("reconnect-after-restart");
    for (const Step& s : steps) {
        if (s.event.kind == EventKind::stray) {
            EXPECT_EQ(s.decision.verdict.kind, SW_VERDICT_ACCEPT) << "the kernel must tell the client";
        }
    }
    const auto all = tickets(steps);
    EXPECT_EQ(all.size(), 20u);
    EXPECT_THAT(all, Each(HasSubstr("stray pass 198.18.4.")));
}

TEST_F(DecideTraceTest, NatWithManyClients) {
    const auto steps = replay("nat-many-clients");
    ASSERT_EQ(steps.size(), 630u);
    for (const Step& s : steps) {
        // The very first segment precedes every handshake that could speak for it.
        EXPECT_NE(s.decision.reason, DecisionReason::connection_flood);
        if (s.event.kind == EventKind::stray) {
            EXPECT_EQ(s.decision.reason, DecisionReason::proven);
        }
    }
    EXPECT_THAT(tickets(steps), ElementsAre("stray pass 198.19.7.1"));
}

TEST_F(DecideTraceTest, ConnectionFlood) {
    config.connections = {20, 60};
    config.site_connections = {50, 200};
    const auto steps = replay("connection-flood");
    EXPECT_THAT(tickets(steps), UnorderedElementsAre("deny 192.0.2.100/32", "deny 192.0.2.101/32",
                                                     "deny 192.0.2.102/32", "deny 2001:db8:bad::/48"));
    EXPECT_EQ(count(steps,
                    [](const Step& s) {
                        return from(s, "198.19.7.1") && s.decision.reason == DecisionReason::connection_flood;
                    }),
              0u);
}

TEST_F(DecideTraceTest, SlowPortScan) {
    know({}, start);
    const auto steps = replay("slow-port-scan");
    for (const Step& s : steps) {
        if (s.event.kind == EventKind::syn) {
            EXPECT_EQ(s.decision.reason, DecisionReason::shape_rare);
        } else {
            EXPECT_EQ(s.decision.verdict.kind, SW_VERDICT_DROP);
        }
    }
    EXPECT_THAT(tickets(steps), IsEmpty()) << "slower than any limit: each is judged by itself";
}

}  // namespace
}  // namespace synward
