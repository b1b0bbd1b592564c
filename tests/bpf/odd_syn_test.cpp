// SPDX-License-Identifier: GPL-2.0-or-later
// SYNs with an unusual layout of options: answered, dropped, or asked about.
#include <linux/bpf.h>

#include <bit>
#include <memory>

#include "fixture.h"
#include "mutator.h"
#include "shape.h"

namespace synward::bpf_test {

class OddSynTest : public BpfTest {
  protected:
    OddSynTest() { odd(SW_ACTION_ESCALATE); }
    void odd(sw_action action) {
        policy.web().odd_syn = action;
        policy.web().escalate_default = SW_ACTION_DROP;
        store();
    }
    static Packet syn(bool v6, const Bytes& list, unsigned port = kWebPort) {
        const Tcp tcp{.destination = port, .syn = true, .options = list};
        return v6 ? tcp6(tcp) : tcp4(tcp);
    }
    static Bytes odd_list() { return options({wscale(7), nop(), mss(1460), sack_permitted()}); }
    static sw_shape shape(const Packet& packet) { return shape_of(dissect(packet.bytes())); }
    StoredTicket about_shape(const Packet& packet, sw_action action) {
        return {
            .service = kWeb, .doubt = SW_DOUBT_SHAPE, .source = {}, .shape = shape(packet), .action = action};
    }
    static StoredTicket about_source(bool v6, sw_action action) {
        return {.service = kWeb, .doubt = SW_DOUBT_SYN, .source = v6 ? kClient6 : kClient4, .action = action};
    }
    void tickets(std::vector<StoredTicket> list) {
        policy.tickets = std::move(list);
        store();
    }
    static int bits_set() {
        const auto filter = std::make_unique<sw_filter>(object().read<sw_filter>("sw_filter", 0));
        int result = 0;
        for (const auto& word : filter->bits) result += std::popcount(word[0]) + std::popcount(word[1]);
        return result;
    }
};

TEST_F(OddSynTest, ItIsAnsweredDroppedOrAskedAbout) {
    for (const bool v6 : {false, true}) {
        const Packet packet = syn(v6, odd_list());
        odd(SW_ACTION_PASS);
        expect(packet, SW_REASON_SYN_ANSWERED);
        odd(SW_ACTION_DROP);
        expect(packet, SW_REASON_SYN_ODD);
        odd(SW_ACTION_ESCALATE);
        expect(packet, SW_REASON_SYN_ODD);
        EXPECT_FALSE(send(packet.bytes()).metadata.empty()) << "the daemon must be told";
    }
}

// What Linux, Windows, macOS, FreeBSD and small stacks send, with any values.
TEST_F(OddSynTest, UsualLayoutsAreNeverOdd) {
    odd(SW_ACTION_DROP);
    Mutator random(Mutator::pick_seed());
    for (int i = 0; i < 200; ++i) {
        const unsigned m = random.word() & 0xffff, w = random.below(256);
        const std::uint32_t t = random.word(), e = random.one_in(2) ? random.word() : 0;
        for (const Bytes& list : {Bytes{}, options({mss(m)}),
                                  options({mss(m), sack_permitted(), timestamp(t, e), nop(), wscale(w)}),
                                  options({mss(m), nop(), nop(), sack_permitted(), nop(), wscale(w)}),
                                  options({mss(m), nop(), wscale(w), nop(), nop(), sack_permitted()}),
                                  options({mss(m), nop(), wscale(w), sack_permitted(), timestamp(t, e)}),
                                  options({mss(m), nop(), wscale(w), nop(), nop(), timestamp(t, e),
                                           sack_permitted(), end_of_options()})})
            for (const bool v6 : {false, true}) expect(syn(v6, list), SW_REASON_SYN_ANSWERED);
    }
}

TEST_F(OddSynTest, WhatDiffersFromAUsualLayoutByOneByteIsOdd) {
    odd(SW_ACTION_DROP);
    for (const bool v6 : {false, true}) {
        for (const Bytes& usual : {linux_syn_options(), windows_syn_options(), options({mss(1460)})}) {
            for (std::size_t at = 0; at < usual.size(); ++at) {
                Bytes list = usual;
                list[at] ^= 0x10;
                expect_judged(syn(v6, list).bytes(), "byte " + std::to_string(at));
            }
            Bytes longer = usual;
            longer.insert(longer.end(), 4, 1);
            expect(syn(v6, longer), SW_REASON_SYN_ODD);
        }
    }
}

TEST_F(OddSynTest, ItsShapeDecides) {
    for (const bool v6 : {false, true}) {
        const Packet packet = syn(v6, odd_list());
        tickets({about_shape(packet, SW_ACTION_PASS)});
        expect(packet, SW_REASON_SYN_ANSWERED, kWeb, "pass means a cookie");
        tickets({about_shape(packet, SW_ACTION_DROP)});
        expect(packet, SW_REASON_TICKET_DROP);
        expect(syn(!v6, odd_list()), SW_REASON_SYN_ODD, kWeb, "the other family's shape is another");
        auto late = about_shape(packet, SW_ACTION_DROP);
        late.expired = true;
        tickets({late});
        expect(packet, SW_REASON_SYN_ODD);
        auto elsewhere = about_shape(packet, SW_ACTION_DROP);
        elsewhere.service = kBound;
        tickets({elsewhere});
        expect(packet, SW_REASON_SYN_ODD);
    }
}

TEST_F(OddSynTest, ThenItsSource) {
    for (const bool v6 : {false, true}) {
        const Packet packet = syn(v6, odd_list());
        tickets({about_source(v6, SW_ACTION_PASS)});
        expect(packet, SW_REASON_SYN_ANSWERED, kWeb, "pass means a cookie");
        tickets({about_source(v6, SW_ACTION_DROP)});
        expect(packet, SW_REASON_TICKET_DROP);
        expect(syn(v6, linux_syn_options()), SW_REASON_SYN_ANSWERED, kWeb, "its usual SYNs are untouched");
        auto strays = about_source(v6, SW_ACTION_DROP);
        strays.doubt = SW_DOUBT_STRAY;
        tickets({strays});
        expect(packet, SW_REASON_SYN_ODD, kWeb, "a ticket about strays says nothing of SYNs");
    }
}

TEST_F(OddSynTest, TheShapeIsAskedBeforeTheSource) {
    for (const bool v6 : {false, true}) {
        const Packet packet = syn(v6, odd_list());
        tickets({about_shape(packet, SW_ACTION_PASS), about_source(v6, SW_ACTION_DROP)});
        expect(packet, SW_REASON_SYN_ANSWERED);
        tickets({about_shape(packet, SW_ACTION_DROP), about_source(v6, SW_ACTION_PASS)});
        expect(packet, SW_REASON_TICKET_DROP);
    }
}

// What exceeds the budget has not been doubted more than others: `pass` is a cookie.
TEST_F(OddSynTest, BeyondTheBudgetItIsDroppedOrAnswered) {
    for (const auto action : {SW_ACTION_DROP, SW_ACTION_PASS}) {
        policy.web().escalate = {.interval = 250u << SW_TICK_SHIFT, .tolerance = 4 * (250u << SW_TICK_SHIFT)};
        policy.web().escalate_default = action;
        fresh_cpu();
        store();
        const auto start = ticks();
        unsigned up = 0;
        for (int i = 0; i < 40; ++i) {
            const Bytes frame = syn(i % 2, odd_list()).bytes();
            const Outcome seen = send(frame);
            sw_reason reason = seen.reason();
            up += reason == SW_REASON_SYN_ODD;
            if (reason != SW_REASON_SYN_ODD)
                reason = action == SW_ACTION_DROP ? SW_REASON_ESCALATE_LIMIT : SW_REASON_SYN_ANSWERED;
            compare(frame, seen, oracle().outcome(frame, reason, kWeb), "budget");
        }
        EXPECT_GE(up, 5u);
        EXPECT_LE(up, 5 + (ticks() - start) / 250 + 1);
    }
}

TEST_F(OddSynTest, WithoutMetadataItTakesTheDefault) {
    policy.config.no_metadata = 1;
    store();
    expect(syn(false, odd_list()), SW_REASON_ESCALATE_LIMIT);
    policy.web().escalate_default = SW_ACTION_PASS;
    store();
    expect(syn(true, odd_list()), SW_REASON_SYN_ANSWERED);
}

// An answer by ticket is a reply like any other: the reply budget holds.
TEST_F(OddSynTest, APassTicketDoesNotMakeAReflector) {
    const Packet packet = syn(false, odd_list());
    policy.config.reply = {.interval = 1000u << SW_TICK_SHIFT, .tolerance = 1};
    tickets({about_shape(packet, SW_ACTION_PASS)});
    unsigned answers = 0;
    for (int i = 0; i < 20; ++i) answers += send(packet.bytes()).reason() == SW_REASON_SYN_ANSWERED;
    EXPECT_LE(answers, 2u);
}

// What follows an accepted SYN is looked for in the kernel, so its tuple is stamped; that of others is not.
TEST_F(OddSynTest, OnlyWhatGoesUpIsStamped) {
    for (const bool v6 : {false, true}) {
        fill_filter(Filter::empty);
        const Packet packet = syn(v6, odd_list());
        tickets({about_shape(packet, SW_ACTION_DROP)});
        expect(packet, SW_REASON_TICKET_DROP);
        tickets({about_shape(packet, SW_ACTION_PASS)});
        expect(packet, SW_REASON_SYN_ANSWERED);
        EXPECT_EQ(bits_set(), 0);
        tickets({});
        expect(packet, SW_REASON_SYN_ODD);
        EXPECT_EQ(bits_set(), 1);
    }
}

TEST_F(OddSynTest, OnlyThoseThatAPlainListenerWouldGet) {
    policy.ports[8092] = kWeb;
    store();
    for (const bool v6 : {false, true})
        expect(syn(v6, odd_list(), 8092), SW_REASON_SYN_NO_LISTENER, kWeb, "nobody listens");
    policy.services[kAuto].odd_syn = SW_ACTION_DROP;
    store();
    expect(syn(false, odd_list(), kAutoPort), SW_REASON_SERVICE_IDLE, kAuto, "not armed");
}

TEST_F(OddSynTest, MonitorOnlyCounts) {
    sw_state& state = policy.states[kMonitor];
    state.armed = state.armings = state.trusted = 1;
    state.armed_at = static_cast<std::uint32_t>(ticks());
    policy.services[kMonitor].hold_ticks = 3600 * policy.config.hz;
    for (const auto action : {SW_ACTION_DROP, SW_ACTION_ESCALATE}) {
        policy.services[kMonitor].odd_syn = action;
        auto ticket = about_source(false, SW_ACTION_DROP);
        ticket.service = kMonitor;
        tickets({ticket});
        for (const bool v6 : {false, true}) {
            expect(syn(v6, odd_list(), kMonitorPort), SW_REASON_SYN_ODD, kMonitor);
            expect(syn(v6, linux_syn_options(), kMonitorPort), SW_REASON_SYN_ANSWERED, kMonitor);
        }
    }
    EXPECT_EQ(bits_set(), 0);
}

TEST_F(OddSynTest, AGatewayDoubtsToo) {
    policy.config.flags |= SW_FLAG_GATEWAY;
    policy.services[kWeb].delivery = SW_DELIVERY_SYNPROXY;
    store();
    for (const bool v6 : {false, true}) expect(syn(v6, odd_list()), SW_REASON_SYN_ODD);
}

}  // namespace synward::bpf_test
