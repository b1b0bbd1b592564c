// SPDX-License-Identifier: GPL-2.0-or-later
// What goes up to the daemon, what its tickets have decided already, and how much
// may go up. Odd SYNs are in odd_syn_test.cpp.
#include <linux/bpf.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cookie.h"
#include "fixture.h"
#include "poll.h"

namespace synward::bpf_test {

class EscalateTest : public BpfTest {
  protected:
    EscalateTest() {
        for (sw_service& service : policy.services) escalate_all(service);
        policy.config.fragment = policy.config.malformed = SW_ACTION_ESCALATE;
        store();
    }
    static void escalate_all(sw_service& service) {
        service.stray = service.fragment = service.malformed = SW_ACTION_ESCALATE;
        service.escalate_default = SW_ACTION_DROP;
    }
    // `burst` packets at once, and one more every `ticks`.
    static sw_rate_limit limit(unsigned burst, unsigned ticks) {
        const std::uint32_t interval = ticks << SW_TICK_SHIFT;
        return {.interval = interval, .tolerance = (burst - 1) * interval};
    }
    static unsigned refilled(std::uint64_t start, unsigned interval) {
        return static_cast<unsigned>((ticks() - start) / interval + 1);
    }
    // One doubtful packet of each kind that a source can have a ticket for.
    struct Doubtful {
        sw_doubt doubt;
        sw_reason reason;
        Packet packet;
    };
    static std::vector<Doubtful> doubtful(bool v6, unsigned port = kWebPort) {
        const auto with = [&](const Tcp& tcp, bool more = false) {
            if (!v6) return Ethernet{} / Packet(Ipv4{.more_fragments = more}) / tcp;
            if (more) return Ethernet{} / Packet(Ipv6{}) / fragment(0, true) / tcp;
            return Ethernet{} / Packet(Ipv6{}) / tcp;
        };
        return {
            {SW_DOUBT_STRAY, SW_REASON_STRAY_ACK, with({.destination = port, .ack = true})},
            {SW_DOUBT_STRAY, SW_REASON_STRAY_RST, with({.destination = port, .rst = true})},
            {SW_DOUBT_FRAGMENT, SW_REASON_FRAGMENT, with({.destination = port, .ack = true}, true)},
            {SW_DOUBT_MALFORMED, SW_REASON_BAD_FLAGS, with({.destination = port, .fin = true, .syn = true})}};
    }
    // How many of `count` packets go up; the others must exceed the budget.
    unsigned go_up(unsigned count, unsigned port = kWebPort, unsigned service = kWeb) {
        unsigned result = 0;
        while (count--) {
            const Tcp tcp{.source = 1024 + next_++ % 60000, .destination = port, .ack = true};
            const Bytes frame = (next_ % 2 ? tcp4(tcp) : tcp6(tcp)).bytes();
            const Outcome seen = send(frame);
            const bool up = seen.reason() == SW_REASON_STRAY_ACK;
            result += up;
            compare(frame, seen,
                    oracle().outcome(frame, up ? SW_REASON_STRAY_ACK : SW_REASON_ESCALATE_LIMIT, service),
                    "budget");
        }
        return result;
    }

  private:
    unsigned next_ = 0;
};

TEST_F(EscalateTest, EveryDoubtGoesUpWithItsReason) {
    struct Case {
        sw_reason reason;
        unsigned service;
        Packet packet;
    };
    std::vector<Case> cases;
    for (const bool v6 : {false, true}) {
        const auto tcp = [&](const Tcp& t) { return v6 ? tcp6(t) : tcp4(t); };
        cases.push_back({SW_REASON_STRAY_ACK, kWeb, tcp({.ack_seq = 7, .ack = true})});
        cases.push_back({SW_REASON_STRAY_SYNACK, kWeb, tcp({.syn = true, .ack = true})});
        cases.push_back({SW_REASON_STRAY_RST, kWeb, tcp({.rst = true})});
        cases.push_back({SW_REASON_STRAY_OTHER, kWeb, tcp({.fin = true})});
        cases.push_back({SW_REASON_BAD_FLAGS, kWeb, tcp({.fin = true, .syn = true})});
        cases.push_back({SW_REASON_BAD_TCP, kWeb, tcp({.ack = true, .data_offset = 4})});
        cases.push_back({SW_REASON_STRAY_ACK, kBound, tcp({.destination = kBoundPort, .ack = true})});
        // An idle service judges nothing but what no TCP sends.
        cases.push_back({SW_REASON_BAD_TCP, kAuto, tcp({.destination = kAutoPort, .data_offset = 15})});
    }
    cases.push_back(
        {SW_REASON_FRAGMENT, kWeb, Ethernet{} / Packet(Ipv4{.more_fragments = true}) / Tcp{.ack = true}});
    cases.push_back(
        {SW_REASON_FRAGMENT, kWeb, Ethernet{} / Packet(Ipv6{}) / fragment(0, true) / Tcp{.ack = true}});
    cases.push_back({SW_REASON_BAD_SOURCE, kWeb,
                     Ethernet{} / Packet(Ipv4{.source = address("127.0.0.1")}) / Tcp{.ack = true}});
    cases.push_back({SW_REASON_BAD_SOURCE, kWeb,
                     Ethernet{} / Packet(Ipv6{.source = address("ff02::1")}) / Tcp{.ack = true}});
    // Where no port can be read the interface says what happens.
    cases.push_back({SW_REASON_FRAGMENT, kNone, Ethernet{} / Packet(Ipv4{.offset = 4}) / Tcp{.ack = true}});
    cases.push_back(
        {SW_REASON_FRAGMENT, kNone, Ethernet{} / Packet(Ipv6{}) / fragment(4, false) / Tcp{.ack = true}});
    cases.push_back(
        {SW_REASON_BAD_IP, kNone, Ethernet{} / Packet(Ipv4{.header_words = 4}) / Tcp{.ack = true}});
    cases.push_back({SW_REASON_BAD_EXTENSION, kNone,
                     Ethernet{} / Packet(Ipv6{}) / Extension{.length = 255} / Tcp{.ack = true}});
    cases.push_back({SW_REASON_BAD_ETHERNET, kNone, Ethernet{.type = 0x8100} / Packet(Payload{Bytes(2)})});

    std::set<sw_reason> seen;
    for (const Case& c : cases) {
        expect(c.packet, c.reason, c.service);
        expect_judged(c.packet.bytes(), "the same by the oracle alone");
        seen.insert(c.reason);
    }
    for (unsigned i = 0; i < SW_REASON_COUNT; ++i) {
        const auto reason = static_cast<sw_reason>(i);
        if (kind_of(reason) != Kind::policy) continue;
        const bool elsewhere = reason == SW_REASON_SYN_ODD || reason == SW_REASON_ESCALATE_LIMIT;
        EXPECT_TRUE(seen.contains(reason) || elsewhere) << reason_name(i) << " is escalated untested";
    }
}

TEST_F(EscalateTest, ATicketDecidesWithoutAsking) {
    for (const bool v6 : {false, true}) {
        for (const Doubtful& d : doubtful(v6)) {
            const Address& client = v6 ? kClient6 : kClient4;
            for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP}) {
                policy.tickets = {{.service = kWeb, .doubt = d.doubt, .source = client, .action = action}};
                store();
                expect(d.packet, action == SW_ACTION_DROP ? SW_REASON_TICKET_DROP : SW_REASON_TICKET_PASS);
                expect_judged(d.packet.bytes(), "the same by the oracle alone");
            }
        }
    }
}

TEST_F(EscalateTest, ATicketIsForOneDoubtOneServiceAndOneSource) {
    for (const bool v6 : {false, true}) {
        const Address& client = v6 ? kClient6 : kClient4;
        for (const Doubtful& d : doubtful(v6)) {
            policy.tickets.clear();
            // The last byte, and one in each word of the key.
            for (std::size_t i = 3; i < client.size(); i += 4) {
                Address other = client;
                other[i] ^= 1;
                policy.tickets.push_back({.service = kWeb, .doubt = d.doubt, .source = other});
            }
            for (unsigned doubt = 0; doubt < SW_DOUBT_COUNT; ++doubt)
                if (doubt != d.doubt && doubt != SW_DOUBT_SHAPE)
                    policy.tickets.push_back(
                        {.service = kWeb, .doubt = static_cast<sw_doubt>(doubt), .source = client});
            for (const unsigned service : {kNone, kMonitor, kBound})
                policy.tickets.push_back({.service = service, .doubt = d.doubt, .source = client});
            // The same bytes, in the other family.
            Address same_bytes = client;
            same_bytes.resize(v6 ? 4 : 16);
            policy.tickets.push_back({.service = kWeb, .doubt = d.doubt, .source = same_bytes});
            policy.tickets.push_back({.service = kWeb, .doubt = d.doubt, .source = client, .expired = true});
            store();
            expect(d.packet, d.reason);
        }
    }
}

TEST_F(EscalateTest, ATicketEndsAtItsTick) {
    policy.tickets = {{.service = kWeb, .doubt = SW_DOUBT_STRAY, .source = kClient4}};
    store();
    const std::uint64_t until = ticks() + 20;
    object().write("sw_tickets", policy.tickets[0].key(), make_ticket(until, SW_ACTION_DROP));
    const Bytes stray = tcp4({.ack = true}).bytes();
    for (;;) {
        const std::uint64_t before = ticks();
        const sw_reason reason = send(stray).reason();
        if (ticks() < until) {
            ASSERT_EQ(reason, SW_REASON_TICKET_DROP) << until - before << " ticks before its end";
        } else if (before >= until) {
            ASSERT_EQ(reason, SW_REASON_STRAY_ACK) << before - until << " ticks after its end";
            break;
        }
    }
}

// A ticket that lies in the table for weeks or years does not come to life again when 32 bits of ticks wrap.
TEST_F(EscalateTest, AnEndedTicketStaysEnded) {
    const sw_ticket_key key =
        StoredTicket{.service = kWeb, .doubt = SW_DOUBT_STRAY, .source = kClient4}.key();
    for (unsigned shift = 0; shift < 32; ++shift) {
        const std::uint64_t now = ticks(), age = std::uint64_t{1} << shift;
        for (const std::uint64_t until : {now - age, now - age - age / 2}) {
            object().write("sw_tickets", key, make_ticket(until, SW_ACTION_DROP));
            expect(tcp4({.ack = true}), SW_REASON_STRAY_ACK, kWeb,
                   std::to_string(now - until) + " ticks ago");
        }
        object().write("sw_tickets", key, make_ticket(now + 100'000 + age, SW_ACTION_DROP));
        expect(tcp4({.ack = true}), SW_REASON_TICKET_DROP, kWeb,
               "in " + std::to_string(age) + " ticks and more");
    }
}

// Whoever forges strays of somebody must not keep that one out (docs/deciding.md).
TEST_F(EscalateTest, ACookieAndAKnownConnectionComeBeforeTheTicket) {
    for (const bool v6 : {false, true}) {
        const Address& client = v6 ? kClient6 : kClient4;
        policy.tickets.clear();
        for (const auto doubt : {SW_DOUBT_STRAY, SW_DOUBT_SYN, SW_DOUBT_MALFORMED, SW_DOUBT_FRAGMENT})
            policy.tickets.push_back({.service = kWeb, .doubt = doubt, .source = client});
        store();
        const Tcp tcp{.source = 3000, .syn = true, .options = linux_syn_options()};
        const Bytes syn = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const Packet ack = finishing_ack(syn, answered(syn));
        expect(ack, SW_REASON_ACK_VALIDATED, kWeb, "the handshake of a source with drop tickets");
        put_flow(dissect(ack.bytes()), SW_FLOW_CONFIRMED, 0);
        expect(ack, SW_REASON_FLOW_KNOWN, kWeb, "its connection");
        expect(v6 ? tcp6({.ack = true}) : tcp4({.ack = true}), SW_REASON_TICKET_DROP, kWeb, "its strays");
    }
}

TEST_F(EscalateTest, TicketsSurviveAPolicyOfTheOtherGeneration) {
    policy.tickets = {{.service = kWeb, .doubt = SW_DOUBT_STRAY, .source = kClient4}};
    store();
    const std::vector<StoredTicket> kept = std::exchange(policy.tickets, {});
    policy.config.generation ^= 1;
    store();  // of the oracle's tables; the program's tickets are put back as the daemon would leave them
    policy.tickets = kept;
    store();
    expect(tcp4({.ack = true}), SW_REASON_TICKET_DROP);
}

TEST_F(EscalateTest, OnlyServicesThatEscalateAsk) {
    policy.tickets = {
        {.service = kWeb, .doubt = SW_DOUBT_STRAY, .source = kClient4, .action = SW_ACTION_PASS}};
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP}) {
        policy.web().stray = action;
        store();
        expect(tcp4({.ack = true}), SW_REASON_STRAY_ACK);
    }
}

TEST_F(EscalateTest, TheBudgetIsItsBurstAndNoMore) {
    for (const auto action : {SW_ACTION_DROP, SW_ACTION_PASS}) {
        policy.web().escalate = limit(10, 250);
        policy.web().escalate_default = action;
        fresh_cpu();
        store();
        const auto start = ticks();
        const unsigned seen = go_up(60);
        EXPECT_GE(seen, 10u);
        EXPECT_LE(seen, 10 + refilled(start, 250));
    }
}

TEST_F(EscalateTest, EachServiceHasItsOwnBudget) {
    policy.web().escalate = policy.services[kBound].escalate = limit(5, 250);
    store();
    auto start = ticks();
    const unsigned web = go_up(30);
    EXPECT_GE(web, 5u);
    EXPECT_LE(web, 5 + refilled(start, 250));
    start = ticks();
    const unsigned bound = go_up(30, kBoundPort, kBound);
    EXPECT_GE(bound, 5u);
    EXPECT_LE(bound, 5 + refilled(start, 250));
}

TEST_F(EscalateTest, TimeRefillsTheBudget) {
    policy.web().escalate = limit(2, 1);
    store();
    const Bytes stray = tcp4({.ack = true}).bytes();
    ASSERT_TRUE(eventually([&] { return send(stray).reason() == SW_REASON_ESCALATE_LIMIT; }));
    EXPECT_TRUE(eventually([&] { return send(stray).reason() == SW_REASON_STRAY_ACK; }));
}

TEST_F(EscalateTest, WhatATicketDecidesTakesNoBudget) {
    policy.web().escalate = limit(5, 250);
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP}) {
        policy.tickets = {{.service = kWeb, .doubt = SW_DOUBT_STRAY, .source = kClient4, .action = action}};
        store();
        for (int i = 0; i < 50; ++i)
            expect(tcp4({.ack = true}),
                   action == SW_ACTION_DROP ? SW_REASON_TICKET_DROP : SW_REASON_TICKET_PASS);
    }
    policy.tickets.clear();
    store();
    EXPECT_GE(go_up(10), 5u);
}

// Where no port is read, service 0 holds the budget and says what exceeds it.
TEST_F(EscalateTest, WhatHasNoPortHasABudgetToo) {
    const Bytes later = (Ethernet{} / Packet(Ipv4{.offset = 4}) / Tcp{.ack = true}).bytes();
    for (const auto action : {SW_ACTION_DROP, SW_ACTION_PASS}) {
        policy.services[kNone].escalate = limit(5, 250);
        policy.services[kNone].escalate_default = action;
        fresh_cpu();
        store();
        const auto start = ticks();
        unsigned up = 0;
        for (int i = 0; i < 30; ++i) {
            const Outcome seen = send(later);
            const bool one = seen.reason() == SW_REASON_FRAGMENT;
            up += one;
            compare(later, seen,
                    oracle().outcome(later, one ? SW_REASON_FRAGMENT : SW_REASON_ESCALATE_LIMIT, kNone),
                    "a later fragment");
        }
        EXPECT_GE(up, 5u);
        EXPECT_LE(up, 5 + refilled(start, 250));
    }
}

TEST_F(EscalateTest, AnOldTimeIsNoDebt) {
    policy.web().escalate = limit(5, 250);
    store();
    for (unsigned step = 1; step < 32; ++step) {
        const std::uint32_t reserved = 5 * (250u << SW_TICK_SHIFT) + (1u << 24);
        const std::uint32_t now = static_cast<std::uint32_t>(ticks()) << SW_TICK_SHIFT;
        auto cpu = std::make_unique<sw_cpu>();
        std::fill(std::begin(cpu->escalate), std::end(cpu->escalate),
                  now + reserved + static_cast<std::uint32_t>((0xffffffffull - reserved) * step / 32));
        object().write("sw_cpu", static_cast<std::uint32_t>(pinned_cpu() % SW_CPUS), *cpu);
        ASSERT_EQ(go_up(5), 5u) << "step " << step;
    }
}

// A driver without metadata cannot say that a packet shall go up: the default, at once.
TEST_F(EscalateTest, WithoutMetadataNothingGoesUp) {
    policy.config.no_metadata = 1;
    for (const auto action : {SW_ACTION_DROP, SW_ACTION_PASS}) {
        policy.web().escalate_default = action;
        store();
        EXPECT_EQ(go_up(10), 0u);
    }
}

TEST_F(EscalateTest, MonitorActsOnNothing) {
    sw_state& state = policy.states[kMonitor];
    state.armed = state.armings = state.trusted = 1;
    state.armed_at = static_cast<std::uint32_t>(ticks());
    policy.services[kMonitor].hold_ticks = 3600 * policy.config.hz;
    policy.services[kMonitor].escalate = limit(1, 250);
    for (const bool v6 : {false, true})
        for (const auto doubt : {SW_DOUBT_STRAY, SW_DOUBT_FRAGMENT, SW_DOUBT_MALFORMED})
            policy.tickets.push_back(
                {.service = kMonitor, .doubt = doubt, .source = v6 ? kClient6 : kClient4});
    store();
    // Neither ticket nor budget is looked at: every time the same.
    for (int i = 0; i < 5; ++i)
        for (const bool v6 : {false, true})
            for (const Doubtful& d : doubtful(v6, kMonitorPort)) expect(d.packet, d.reason, kMonitor);
}

}  // namespace synward::bpf_test
