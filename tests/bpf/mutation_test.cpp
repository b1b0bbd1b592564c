// SPDX-License-Identifier: GPL-2.0-or-later
// Thousands of random packets, whole and damaged, against the oracle. Set
// SYNWARD_SEED to the seed of a failure to see it again.
#include <linux/bpf.h>

#include "fixture.h"
#include "mutator.h"
#include "reply.h"
#include "shape.h"

namespace synward::bpf_test {

class MutationTest : public BpfTest {
  protected:
    MutationTest()
        : seed_(Mutator::pick_seed()),
          random(seed_),
          trace_(__FILE__, __LINE__, "SYNWARD_SEED=" + std::to_string(seed_)) {
        policy.fates = {{address("77.0.0.0"), 9, SW_FATE_DENY},
                        {address("77.64.0.0"), 10, SW_FATE_CHECK, kWebPort},
                        {address("2001:db8:8000::"), 33, SW_FATE_ALLOW},
                        {address("2001:db8:c000::"), 34, SW_FATE_DENY, kWebPort}};
        store();
    }

    // What holds for any packet, even where the oracle should be wrong.
    void check_invariants(const Bytes& frame, const Outcome& seen) {
        const sw_reason reason = seen.reason();
        ASSERT_NE(reason, SW_REASON_COUNT) << Counters::text(seen.counted) << "\n" << hex(frame);
        const Kind kind = kind_of(reason);
        const bool fits = (kind == Kind::pass && seen.action == XDP_PASS) ||
                          (kind == Kind::drop && seen.action == XDP_DROP) ||
                          (kind == Kind::tx && seen.action == XDP_TX) ||
                          (kind == Kind::policy && (seen.action == XDP_PASS || seen.action == XDP_DROP));
        EXPECT_TRUE(fits || seen.counted.begin()->first.first == kMonitor)
            << reason_name(reason) << " with action " << seen.action;
        if (seen.action == XDP_TX) {
            EXPECT_EQ(broken_rule(frame, seen.frame), "") << hex(frame) << hex(seen.frame);
        }
        if (seen.action == XDP_PASS) {
            EXPECT_EQ(seen.frame, frame);
        }
    }
    // The flow table knows nobody, and the listeners are those of the fixture.
    void check(const Bytes& frame) {
        const Outcome seen = send(frame);
        check_invariants(frame, seen);
        Oracle told = oracle();
        told.listener = [](const Address& to, unsigned) {
            return to == kHost4 || to == kHost6 ? SW_LISTENER_PLAIN : SW_LISTENER_NONE;
        };
        compare(frame, seen, told.judge(frame), "random packet");
    }

    const std::uint64_t seed_;
    Mutator random;
    const std::vector<unsigned> ports = {kWebPort,  kWebPort, kWebPort,   kMonitorPort,
                                         kAutoPort, kOffPort, kBoundPort, kFreePort};

  private:
    ::testing::ScopedTrace trace_;
};

TEST_F(MutationTest, WholeSyns) {
    for (int i = 0; i < 20000 && !HasFailure(); ++i) check(random.syn(ports));
}

TEST_F(MutationTest, WholeSegments) {
    for (int i = 0; i < 10000 && !HasFailure(); ++i) check(random.segment(ports));
}

TEST_F(MutationTest, DamagedSyns) {
    for (int i = 0; i < 50000 && !HasFailure(); ++i) check(random.damage(random.syn(ports)));
}

TEST_F(MutationTest, DamagedSegments) {
    for (int i = 0; i < 20000 && !HasFailure(); ++i) check(random.damage(random.segment(ports)));
}

TEST_F(MutationTest, DamagedUnderEveryAction) {
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_ESCALATE}) {
        policy.config.malformed = policy.config.fragment = action;
        for (unsigned i = 1; i <= kBound; ++i)
            policy.services[i].malformed = policy.services[i].fragment = policy.services[i].stray = action;
        for (unsigned i = 1; i <= kBound; ++i) policy.services[i].odd_syn = action;
        store();
        for (int i = 0; i < 10000 && !HasFailure(); ++i)
            check(random.damage(random.one_in(2) ? random.syn(ports) : random.segment(ports)));
    }
}

// Everything is asked about, but for sources and shapes that were decided before.
TEST_F(MutationTest, DamagedUnderTickets) {
    policy.config.malformed = policy.config.fragment = SW_ACTION_ESCALATE;
    for (unsigned i = 1; i <= kBound; ++i) {
        sw_service& s = policy.services[i];
        s.malformed = s.fragment = s.stray = s.odd_syn = SW_ACTION_ESCALATE;
    }
    unsigned before = 0;
    for (int round = 0; round < 1500 && !HasFailure(); ++round) {
        // Each ticket is about a packet that then comes, whole and damaged.
        const Bytes frame = random.one_in(2) ? random.syn(ports) : random.segment(ports);
        const Segment s = dissect(frame);
        const unsigned service = s.port ? policy.service_of(s.destination, *s.port) : kNone;
        policy.tickets.clear();
        for (unsigned doubt = 0; doubt < SW_DOUBT_COUNT; ++doubt) {
            if (random.one_in(4)) continue;
            policy.tickets.push_back({.service = service,
                                      .doubt = static_cast<sw_doubt>(doubt),
                                      .source = s.source,
                                      .shape = shape_of(s),
                                      .action = random.one_in(2) ? SW_ACTION_DROP : SW_ACTION_PASS,
                                      .expired = random.one_in(6)});
        }
        store();
        check(frame);
        for (int i = 0; i < 6 && !HasFailure(); ++i) {
            const Bytes damaged = random.damage(frame);
            const sw_reason told = oracle().judge(damaged).reason;
            before += told == SW_REASON_TICKET_DROP || told == SW_REASON_TICKET_PASS;
            check(damaged);
        }
    }
    EXPECT_GT(before, 50u) << "hardly a packet met its ticket";
}

// Handshakes that are damaged on their way back: only what does not matter may pass.
TEST_F(MutationTest, DamagedHandshakes) {
    for (int i = 0; i < 10000 && !HasFailure(); ++i) {
        const Bytes syn = random.syn({kWebPort, kBoundPort});
        const Outcome seen = send(syn);
        if (seen.reason() != SW_REASON_SYN_ANSWERED) continue;
        Bytes ack = finishing_ack(syn, seen.frame).bytes();
        check(random.one_in(4) ? ack : random.damage(ack));
    }
}

TEST_F(MutationTest, Noise) {
    for (int i = 0; i < 20000 && !HasFailure(); ++i) {
        Bytes frame(14 + random.below(200));
        for (auto& byte : frame) byte = static_cast<std::uint8_t>(random.word());
        static constexpr unsigned kTypes[] = {0x0800, 0x86dd, 0x8100, 0x88a8, 0x0806};
        set16(frame, 12, kTypes[random.below(5)]);
        if (frame.size() > 30 && random.one_in(2)) {
            frame[14] = get16(frame, 12) == 0x0800 ? 0x45 : 0x60;
            set16(frame, get16(frame, 12) == 0x0800 ? 16 : 18,
                  random.below(static_cast<unsigned>(frame.size())));
            frame[get16(frame, 12) == 0x0800 ? 23 : 20] =
                static_cast<std::uint8_t>(random.one_in(2) ? 6 : 60);
        }
        check(frame);
    }
}

}  // namespace synward::bpf_test
