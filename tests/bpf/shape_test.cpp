// SPDX-License-Identifier: GPL-2.0-or-later
// A shape is one name for program, deciders and oracle: what the program looks up
// (sw_tickets), what it reports (sw_events), what libsynward reads from a packet that
// came up, and what lib/abi/escalate.h says, byte by byte.
#include "shape.h"

#include <algorithm>
#include <cstring>

#include "event_queue.h"
#include "fixture.h"
#include "lib/escalation/event.h"
#include "mutator.h"
#include "poll.h"

namespace synward::bpf_test {

class ShapeTest : public BpfTest {
  protected:
    static sw_shape read_by_library(const Bytes& frame) {
        FlowEvent event;
        const Segment s = dissect(frame);
        EXPECT_TRUE(read_packet(View(frame).subspan(s.ip), event)) << hex(frame);
        return event.shape;
    }
    static std::string text(const sw_shape& shape) {
        return hex({reinterpret_cast<const std::uint8_t*>(&shape), sizeof shape});
    }
    static bool same(const sw_shape& a, const sw_shape& b) { return !std::memcmp(&a, &b, sizeof a); }
    // A SYN to the web service that is not usual, from anywhere that may be answered.
    Bytes odd_syn(Mutator& random) {
        for (;;) {
            Bytes frame = random.syn({kWebPort});
            const Segment s = dissect(frame);
            if (!s.fault && !is_usual(s.options) && !is_bad_source(s.source, s.destination)) return frame;
        }
    }
};

TEST_F(ShapeTest, TicketsAreFoundByTheNameThatTheDecidersGive) {
    policy.web().odd_syn = SW_ACTION_ESCALATE;
    store();
    const auto seed = Mutator::pick_seed();
    SCOPED_TRACE("SYNWARD_SEED=" + std::to_string(seed));
    Mutator random(seed);
    unsigned families[SW_FAMILIES] = {};
    for (int i = 0; i < 4000 && !HasFailure(); ++i) {
        const Bytes frame = odd_syn(random);
        const sw_shape shape = read_by_library(frame);
        const sw_shape told = shape_of(dissect(frame));
        ASSERT_TRUE(same(shape, told)) << text(shape) << text(told) << hex(frame);
        ++families[shape.family];

        const StoredTicket ticket{
            .service = kWeb, .doubt = SW_DOUBT_SHAPE, .source = {}, .shape = shape, .action = SW_ACTION_DROP};
        const sw_ticket value = make_ticket(ticks() + 3600 * policy.config.hz, SW_ACTION_DROP);
        object().write("sw_tickets", ticket.key(), value);
        policy.tickets = {ticket};
        expect_judged(frame, "the shape as the deciders read it");
        EXPECT_EQ(send(frame).reason(), SW_REASON_TICKET_DROP) << hex(frame);
        object().clear("sw_tickets");
        // Any other byte of the name is another shape.
        StoredTicket other = ticket;
        reinterpret_cast<std::uint8_t*>(&other.shape)[random.below(12)] ^=
            static_cast<std::uint8_t>(1 + random.below(255));
        object().write("sw_tickets", other.key(), value);
        EXPECT_EQ(send(frame).reason(), SW_REASON_SYN_ODD) << hex(frame);
        object().clear("sw_tickets");
    }
    EXPECT_GT(families[SW_IPV4], 500u);
    EXPECT_GT(families[SW_IPV6], 500u);
}

// Usual SYNs too: what is normal is learned from all of them.
TEST_F(ShapeTest, LibraryAndDescriptionAgreeOnEverySyn) {
    const auto seed = Mutator::pick_seed();
    SCOPED_TRACE("SYNWARD_SEED=" + std::to_string(seed));
    Mutator random(seed);
    for (int i = 0; i < 20000 && !HasFailure(); ++i) {
        const Bytes frame = random.syn({kWebPort});
        if (dissect(frame).fault) continue;  // no SYN, for the program: too many headers before it
        const sw_shape shape = read_by_library(frame);
        const sw_shape told = shape_of(dissect(frame));
        EXPECT_TRUE(same(shape, told)) << text(shape) << text(told) << hex(frame);
    }
}

// A quiet service reports one SYN in a while, with the very same shape.
TEST_F(ShapeTest, TheEventHoldsTheSameShape) {
    policy.config.flags |= SW_FLAG_REPORT;
    policy.config.window_shift = 0;
    policy.config.sample_ticks = 1;
    policy.services[kAuto].arm_syns = 1u << 30;
    store();
    EventQueue events(object());
    const auto seed = Mutator::pick_seed();
    SCOPED_TRACE("SYNWARD_SEED=" + std::to_string(seed));
    Mutator random(seed);
    for (std::size_t i = 0; i < 200 && !HasFailure(); ++i) {
        const Bytes frame = random.syn({kAutoPort});
        ASSERT_TRUE(eventually([&] {
            expect(frame, SW_REASON_SERVICE_IDLE, kAuto);
            return HasFailure() || events.of(SW_EVENT_SHAPE).size() > i;
        }));
        const sw_event event = events.of(SW_EVENT_SHAPE).back();
        const sw_shape shape = read_by_library(frame);
        EXPECT_TRUE(same(event.shape, shape)) << text(event.shape) << text(shape) << hex(frame);
        const Segment s = dissect(frame);
        EXPECT_EQ(event.service, kAuto);
        EXPECT_EQ(event.family, s.v6 ? SW_IPV6 : SW_IPV4);
        EXPECT_TRUE(std::equal(s.source.begin(), s.source.end(), event.source));
        EXPECT_TRUE(std::equal(s.destination.begin(), s.destination.end(), event.destination));
    }
}

}  // namespace synward::bpf_test
