// SPDX-License-Identifier: GPL-2.0-or-later
// The text of traces, and whole stories replayed from traces/.
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "decide_fixture.h"
#include "lib/decide/trace_replay.h"

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

TEST(Trace, AFileIsReadAsTextIs) {
    const std::string head = "synward-trace 1\n";
    const std::string event = "1 stray 1.2.3.4:1 1.2.3.4:2";
    const std::string longest = "#" + std::string(trace_line_most - 1, 'x');
    for (const std::string& text : std::vector<std::string>{
             "", "\n", "synward-trace 1", head, head + event, head + event + "\r\n\n" + event,
             head + "\n\n" + event + " x", head + longest + "\n" + event, head + longest + "x\n" + event,
             head + event + "\n" + longest + "x", std::string(10 * trace_line_most, 'x'),
             head + event + std::string("\0", 1)}) {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
        ASSERT_TRUE(file);
        std::fwrite(text.data(), 1, text.size(), file.get());
        std::rewind(file.get());
        const auto read = read_recording(file.get(), "t");
        const auto parsed = parse_recording(text, "t");
        ASSERT_EQ(read.has_value(), parsed.has_value()) << text;
        if (read) {
            EXPECT_EQ(read->size(), parsed->size()) << text;
        } else {
            EXPECT_EQ(read.error().message, parsed.error().message);
        }
    }
    EXPECT_EQ(refusal(head + longest), "accepted");
    EXPECT_THAT(refusal(head + event + "\n" + longest + "x\n"), HasSubstr("t:3: longer than the 4096 bytes"));
}

TEST(Trace, ARefusalIsFitForATerminal) {
    const std::string evil = "\033]0;x\a" + std::string(200, 'x');
    const std::string head = "synward-trace 1\n1 ";
    const std::string event = head + "stray 1.2.3.4:1 1.2.3.4:2 ";
    for (const std::string& text :
         {"synward-trace 1\n" + evil, head + evil, head + "stray " + evil, head + "stray 1.2.3.4:1 " + evil,
          event + evil, event + evil + "=1", event + "ttl=" + evil, event + "reason=" + evil,
          event + "shape=" + evil, event + "known=" + evil, event + "decided=" + evil,
          event + "actions=" + evil}) {
        const std::string said = refusal(text);
        EXPECT_THAT(said, HasSubstr("'?]0;x?xxx")) << text;
        EXPECT_THAT(said, HasSubstr("x...'")) << text;
        EXPECT_LT(said.size(), 160u) << text;
    }
}

TEST(Trace, ARecordingIsReadAndWrittenBack) {
    const std::string text =
        "synward-trace 1\n"
        "10 handshake 198.18.0.7:40000 203.0.113.1:443\n"
        "10 stray 198.18.0.8:1 203.0.113.1:443 reason=stray_ack chain=1 known=none decided=drop/unknown_flow "
        "actions=stray-drop,report\n"
        "11 stray 198.18.0.8:1 203.0.113.1:443 reason=stray_ack chain=1 known=source "
        "decided=accept/proven actions=stray-pass\n"
        "12 stray 198.18.0.8:1 203.0.113.1:443 reason=stray_ack chain=2 known=flow "
        "decided=accept/known_flow\n"
        "13 reset 198.18.0.8:1 203.0.113.1:443 reason=stray_rst chain=2 known=old-source "
        "decided=drop/host_rate\n"
        "14 syn 198.18.0.8:1 203.0.113.1:443 reason=syn_odd chain=2 decided=drop/shape_flood "
        "actions=shape-drop,report\n"
        "15 handshake 198.18.0.7:40000 203.0.113.1:443 decided=drop/connection_flood actions=deny,report";
    const auto entries = parse_recording(text, "t");
    ASSERT_TRUE(entries) << entries.error().message;
    ASSERT_EQ(entries->size(), 7u);
    EXPECT_FALSE((*entries)[0].decided);
    EXPECT_EQ((*entries)[1].chain, 1);
    EXPECT_TRUE((*entries)[1].flows_read);
    EXPECT_EQ((*entries)[1].decided->reason, DecisionReason::unknown_flow);
    EXPECT_EQ((*entries)[1].decided->verdict, SW_VERDICT_DROP);
    EXPECT_EQ((*entries)[4].known, KnownFlow::source);
    EXPECT_FALSE((*entries)[4].flows_read);
    std::string written(trace_header);
    for (const TraceEntry& e : *entries) written += "\n" + trace_line(e);
    EXPECT_EQ(written, text);
}

TEST(Trace, ARecordingOfSeveralChainsIsPutInOrder) {
    const std::string head = "synward-trace 1\n";
    const auto entries = parse_recording(head +
                                             "20 stray 1.2.3.4:1 1.2.3.4:2 chain=1\n"
                                             "10 handshake 1.2.3.5:1 1.2.3.4:2\n"
                                             "20 handshake 1.2.3.5:1 1.2.3.4:2\n"
                                             "21 stray 1.2.3.4:1 1.2.3.4:2 chain=1\n",
                                         "t");
    ASSERT_TRUE(entries) << entries.error().message;
    std::vector<std::uint64_t> times, chains, ids;
    for (const TraceEntry& e : *entries) {
        times.push_back(e.event.time / 1000);
        chains.push_back(e.chain);
        ids.push_back(e.event.id);
    }
    EXPECT_THAT(times, ElementsAre(10u, 20u, 20u, 21u));
    EXPECT_THAT(chains, ElementsAre(0u, 1u, 0u, 1u));
    EXPECT_THAT(ids, ElementsAre(1u, 2u, 3u, 4u));
    EXPECT_THAT(refusal(head + "2 stray 1.2.3.4:1 1.2.3.4:2 chain=1\n1 stray 1.2.3.4:1 1.2.3.4:2 chain=1"),
                HasSubstr("t:3: time goes backwards"));
}

TEST(Trace, RefusesWhatNoRecordingSays) {
    const std::string line = "synward-trace 1\n1 stray 1.2.3.4:1 1.2.3.4:2 ";
    EXPECT_THAT(refusal(line + "known=much"), HasSubstr("known is 'much'; allowed are none"));
    EXPECT_THAT(refusal(line + "decided=drop"), HasSubstr("VERDICT/REASON"));
    EXPECT_THAT(refusal(line + "decided=drop/nonsense"), HasSubstr("'drop/nonsense'"));
    EXPECT_THAT(refusal(line + "decided=pass/proven"), HasSubstr("'pass/proven'"));
    EXPECT_THAT(refusal(line + "actions=deny"), HasSubstr("stand behind"));
    EXPECT_THAT(refusal(line + "decided=drop/proven actions=deny,dance"), HasSubstr("like stray-drop"));
    EXPECT_THAT(refusal(line + "chain=65536"), HasSubstr("no number that chain"));
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

// Whatever was decided, and by whatever the kernel had: written down, read and decided once more.
TEST_F(DecideTraceTest, ARecordingIsDecidedTheSame) {
    CompiledPolicy policy;
    policy.ports[443] = 3;
    policy.ports[80] = 2;
    policy.services[0].escalate_default = SW_ACTION_DROP;
    policy.services[3].escalate_default = SW_ACTION_DROP;
    std::string text(trace_header);
    // One story behind the other: the sources differ, and the clock goes on. The first comes
    // before anybody has read what connections there are.
    std::uint64_t began = start;
    std::map<DecisionReason, unsigned> reasons;
    for (const char* name : {"nat-many-clients", "spoofed-stray-flood", "odd-syn-flood",
                             "reconnect-after-restart", "connection-flood", "slow-port-scan"}) {
        std::ifstream file(std::string(SYNWARD_TRACES "/") + name + ".trace");
        std::ostringstream story;
        story << file.rdbuf();
        const auto events = parse_trace(story.str(), name);
        ASSERT_TRUE(events) << events.error().message;
        std::uint64_t now = began;
        unsigned nth = 0;
        for (const FlowEvent& e : *events) {
            now = began + e.time;
            // The kernel has some of them, of others another connection of the source.
            FlowEvent other = e;
            other.source_port ^= 4;
            if (began != start && ++nth % 20 == 0) know({nth % 40 ? e : other}, now);
            const Decision d = decide(e, now);
            reasons[d.reason]++;
            text += "\n" + trace_line(trace_entry(e, now, d, chain().flows_read(now)));
        }
        began = trace_time(now) + 5 * second;
    }
    EXPECT_GE(reasons.size(), 9u) << "the stories are too poor";
    const auto entries = parse_recording(text, "recorded");
    ASSERT_TRUE(entries) << entries.error().message;
    auto replay = TraceReplay::create(config, policy);
    ASSERT_TRUE(replay) << replay.error().message;
    std::size_t compared = 0;
    for (const TraceEntry& entry : *entries) {
        const auto again = replay->decide(entry);
        ASSERT_TRUE(again) << again.error().message;
        if (!entry.decided) continue;
        compared++;
        TraceEntry now = entry;
        now.decided.emplace(**again);
        ASSERT_EQ(trace_line(now), trace_line(entry));
    }
    EXPECT_GT(compared, 1000u);
}

// What synwardd recorded during tests/net/escalate.test: strays from everywhere, a flood of one
// odd shape, and a client. Tables whose keys differ may decide differently about a few.
TEST_F(DecideTraceTest, WhatTheDaemonDecidedIsDecidedAgain) {
    CompiledPolicy policy;
    policy.ports[8080] = 1;
    policy.services[0].escalate_default = SW_ACTION_DROP;
    policy.services[1].escalate_default = SW_ACTION_DROP;
    std::ifstream file(SYNWARD_TRACES "/recorded-by-synwardd.trace");
    std::ostringstream text;
    text << file.rdbuf();
    const auto entries = parse_recording(text.str(), "recorded");
    ASSERT_TRUE(entries) << entries.error().message;
    auto replay = TraceReplay::create(config, policy);
    ASSERT_TRUE(replay) << replay.error().message;
    std::map<DecisionReason, unsigned> reasons;
    unsigned compared = 0;
    unsigned different = 0;
    for (const TraceEntry& entry : *entries) {
        const auto again = replay->decide(entry);
        ASSERT_TRUE(again) << again.error().message;
        reasons[(*again)->reason]++;
        if (!entry.decided) continue;
        compared++;
        TraceEntry now = entry;
        now.decided.emplace(**again);
        different += now.decided->reason != entry.decided->reason;
    }
    EXPECT_GT(compared, 350u);
    EXPECT_LE(different, compared / 50);
    EXPECT_GT(reasons[DecisionReason::unknown_flow], 300u);
    EXPECT_GT(reasons[DecisionReason::shape_rare], 10u);
    EXPECT_GT(reasons[DecisionReason::shape_flood], 10u);
}

TEST_F(DecideTraceTest, ARecordingOfTooManyChainsIsRefused) {
    TraceEntry entry{.event = event(EventKind::handshake, "198.18.0.1")};
    config.rate_sources = config.proven_sources = config.proven_prefixes = config.shapes = 64;
    auto small = TraceReplay::create(config, CompiledPolicy{});
    for (std::size_t i = 0; i < TraceReplay::chains_most; i++) {
        entry.chain = static_cast<std::uint16_t>(i);
        ASSERT_TRUE(small->decide(entry));
    }
    entry.chain = TraceReplay::chains_most;
    const auto refused = small->decide(entry);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("more than 256 chains"));
}

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
