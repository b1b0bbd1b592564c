// SPDX-License-Identifier: GPL-2.0-or-later
// `auto`: a service is armed by the rate of its SYNs and disarmed with hysteresis.
#include "event_queue.h"
#include "fixture.h"
#include "lib/live_policy.h"
#include "poll.h"

namespace synward::bpf_test {

class ArmingTest : public BpfTest {
  protected:
    ArmingTest() : events_(object()) {
        policy.config.window_shift = 0;
        while ((1u << policy.config.window_shift) < policy.config.hz / 8) ++policy.config.window_shift;
        auto& service = policy.services[kAuto];
        service.arm_syns = 256;
        service.disarm_syns = 64;
        service.hold_ticks = 2u << policy.config.window_shift;
        store();
    }
    sw_state state() { return object().read<sw_state>("sw_state", kAuto); }
    Outcome syn() {
        ++sent_;
        const Tcp tcp{.source = 1024 + sent_ % 60000, .destination = kAutoPort, .seq = sent_, .syn = true};
        return send((sent_ % 2 ? tcp4(tcp) : tcp6(tcp)).bytes());
    }
    // Floods until one is answered.
    bool armed_by_flood() {
        return eventually([&] { return syn().reason() == SW_REASON_SYN_ANSWERED; });
    }
    // Sends `per_window` SYNs in each arming window, evenly, until `done`.
    template <typename Done>
    bool pace(unsigned per_window, Done&& done) {
        const std::uint64_t start = ticks();
        std::uint64_t due = 0;
        return eventually([&] {
            for (; due < ((ticks() - start) * per_window >> policy.config.window_shift); ++due) syn();
            return done();
        });
    }
    std::vector<sw_event> events(sw_event_type type) { return events_.of(type); }
    std::size_t count(sw_event_type type) { return events(type).size(); }

  private:
    EventQueue events_;
    unsigned sent_ = 0;
};

TEST_F(ArmingTest, AFloodArmsWithinItsWindow) {
    const std::uint64_t start = ticks();
    ASSERT_TRUE(armed_by_flood());
    const sw_state now = state();
    EXPECT_EQ(now.armed, 1u);
    EXPECT_EQ(now.armings, 1u);
    EXPECT_NE(now.trusted, now.armings) << "the walk over the sockets has not been made";
    EXPECT_LE(now.armed_at - static_cast<std::uint32_t>(start), ticks() - start);
    ASSERT_EQ(count(SW_EVENT_ARMED), 1u);
    const sw_event event = events(SW_EVENT_ARMED)[0];
    EXPECT_EQ(event.service, kAuto);
    EXPECT_GT(event.rate, 0u);
    EXPECT_GT(event.time, 0u);
    EXPECT_EQ(syn().reason(), SW_REASON_SYN_ANSWERED);
    EXPECT_EQ(send(tcp4({.destination = kAutoPort, .ack_seq = 9, .ack = true}).bytes()).reason(),
              SW_REASON_STRAY_ACK);
}

// A rate below the threshold: some SYNs in each of several windows.
TEST_F(ArmingTest, AFewSynsDoNot) {
    const unsigned window = 1u << policy.config.window_shift;
    for (int i = 0; i < 4; ++i) {
        for (unsigned n = 0; n < 64; ++n) EXPECT_EQ(syn().reason(), SW_REASON_SERVICE_IDLE);
        const std::uint64_t here = ticks() / window;
        ASSERT_TRUE(eventually([&] { return ticks() / window != here; }));
    }
    EXPECT_EQ(state().armed, 0u);
    EXPECT_EQ(count(SW_EVENT_ARMED), 0u);
}

TEST_F(ArmingTest, OtherSegmentsAndOtherServicesDoNot) {
    for (unsigned i = 0; i < 3000; ++i) {
        send(tcp4({.source = i, .destination = kAutoPort, .ack = true}).bytes());
        if (i % 4 == 0) send(tcp4({.source = i, .destination = kFreePort, .syn = true}).bytes());
        if (i % 4 == 1) send(tcp4({.source = i, .destination = kOffPort, .syn = true}).bytes());
    }
    EXPECT_EQ(state().armed, 0u);
}

TEST_F(ArmingTest, CalmDisarmsAfterTheHoldTime) {
    ASSERT_TRUE(armed_by_flood());
    EXPECT_TRUE(pace(24, [&] { return state().armed == 0; })) << "below disarm_syns";
    EXPECT_GE(static_cast<std::uint32_t>(ticks()) - state().armed_at, policy.services[kAuto].hold_ticks);
    EXPECT_EQ(syn().reason(), SW_REASON_SERVICE_IDLE);
    EXPECT_EQ(count(SW_EVENT_DISARMED), 1u);
    ASSERT_TRUE(armed_by_flood());
    EXPECT_EQ(state().armings, 2u);
    EXPECT_EQ(count(SW_EVENT_ARMED), 2u);
}

// The hold time may end within a window. What passed since is in no filter: the service is
// armed anew, with a filter that is not believed, and not for longer.
TEST_F(ArmingTest, AnEndedHoldTimeIsNotProlonged) {
    policy.config.window_shift = 20;  // one window for the whole test
    auto& service = policy.services[kAuto];
    service.hold_ticks = 10;
    service.arm_syns = 100;  // few enough for every SYN to count at once
    service.disarm_syns = 1;
    sw_state& ended = policy.states[kAuto];
    ended.armed = ended.armings = ended.trusted = 1;
    const auto now = static_cast<std::uint32_t>(ticks());
    ended.armed_at = now - 100;
    ended.window = now >> policy.config.window_shift;
    store();
    EXPECT_EQ(syn().reason(), SW_REASON_SERVICE_IDLE) << "enough to stay armed, but too late";
    EXPECT_EQ(state().armed, 0u);
    service.arm_syns = 1;
    store();
    EXPECT_EQ(syn().reason(), SW_REASON_SYN_ANSWERED) << "enough to arm";
    EXPECT_EQ(state().armed, 1u);
    EXPECT_EQ(state().armings, 2u);
    EXPECT_EQ(state().trusted, 1u);
    EXPECT_EQ(count(SW_EVENT_DISARMED), 2u);
}

// Its cookies outlive an arming, and so do the clients that are on their way with them.
TEST_F(ArmingTest, WhoWasAnsweredIsTakenAfterTheEnd) {
    auto& service = policy.services[kAuto];
    sw_state& of_auto = policy.states[kAuto];
    const auto begin = static_cast<std::uint32_t>(ticks());
    service.hold_ticks = 3600 * policy.config.hz;
    of_auto.armed = of_auto.armings = 1;
    of_auto.armed_at = begin;
    store();
    std::vector<Bytes> acks;
    for (unsigned i = 0; i < 12; ++i) {
        const Tcp tcp{
            .source = 5000 + i, .destination = kAutoPort, .syn = true, .options = linux_syn_options()};
        const Bytes frame = (i % 2 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const Outcome seen = send(frame);
        ASSERT_EQ(seen.reason(), SW_REASON_SYN_ANSWERED);
        acks.push_back(finishing_ack(frame, seen.frame).bytes());
    }
    auto ack = acks.begin();
    const auto others = [&](sw_reason reason) {
        for (const Tcp& tcp : {Tcp{.source = 9, .destination = kAutoPort, .ack_seq = 9, .ack = true},
                               Tcp{.source = 9, .destination = kAutoPort, .fin = true, .syn = true},
                               Tcp{.source = 9, .destination = kAutoPort, .syn = true},
                               Tcp{.source = 9, .destination = kAutoPort, .rst = true}})
            expect(tcp4(tcp), reason, kAuto);
    };
    const auto taken = [&] {
        for (int i = 0; i < 2; ++i, ++ack) {
            EXPECT_EQ(send(*ack).reason(), SW_REASON_ACK_VALIDATED);
            EXPECT_EQ(send(*ack).reason(), SW_REASON_ACK_FOLLOWS);
        }
    };

    of_auto.armed = 0;
    store();
    taken();
    others(SW_REASON_SERVICE_IDLE);
    service.mode = SW_MODE_MONITOR;
    store();
    taken();
    service.mode = SW_MODE_OFF;
    store();
    taken();
    others(SW_REASON_SERVICE_OFF);

    // In mode cookie nobody notes how long; its end does.
    of_auto = {};
    service.mode = SW_MODE_COOKIE;
    change_mode(of_auto, SW_MODE_OFF, SW_MODE_COOKIE, begin - 1'000'000'000);
    change_mode(of_auto, SW_MODE_COOKIE, SW_MODE_AUTO, begin);
    service.mode = SW_MODE_AUTO;
    store();
    taken();
    others(SW_REASON_SERVICE_IDLE);

    // Not for longer than cookies live, nor where none was ever given.
    of_auto.armed_at = begin - service.hold_ticks - (2u << policy.config.epoch_shift) - SW_TICKS_LATE;
    store();
    EXPECT_EQ(send(*ack++).reason(), SW_REASON_SERVICE_IDLE);
    of_auto = {};
    of_auto.armed_at = begin;
    store();
    EXPECT_EQ(send(*ack++).reason(), SW_REASON_SERVICE_IDLE);
}

// Another CPU may have read a later time, and have written it already.
TEST_F(ArmingTest, ATimeJustAheadIsNotAnEnd) {
    auto& service = policy.services[kAuto];
    service.hold_ticks = 10 * policy.config.hz;
    service.arm_syns = 1'000'000;
    service.disarm_syns = 100'000;
    sw_state& of_auto = policy.states[kAuto];
    of_auto.armed = of_auto.armings = 1;
    of_auto.armed_at = static_cast<std::uint32_t>(ticks()) + SW_TICKS_LATE;
    store();
    for (int i = 0; i < 100; ++i) ASSERT_EQ(syn().reason(), SW_REASON_SYN_ANSWERED);
    EXPECT_EQ(state().armed, 1u);
    EXPECT_EQ(count(SW_EVENT_DISARMED), 0u);
}

// When nobody sends SYNs any more, nobody counts them: the hold time alone must do.
TEST_F(ArmingTest, SilenceDisarmsToo) {
    ASSERT_TRUE(armed_by_flood());
    const Bytes ack = tcp4({.destination = kAutoPort, .ack_seq = 9, .ack = true}).bytes();
    EXPECT_TRUE(eventually([&] { return send(ack).reason() == SW_REASON_SERVICE_IDLE; }));
    EXPECT_GE(static_cast<std::uint32_t>(ticks()) - state().armed_at, policy.services[kAuto].hold_ticks);
}

// Between the two thresholds: not enough to arm, too much to disarm.
TEST_F(ArmingTest, TheThresholdsHaveHysteresis) {
    const std::uint64_t end = ticks() + 2 * policy.services[kAuto].hold_ticks;
    pace(128, [&] { return ticks() > end || state().armed; });
    EXPECT_EQ(state().armed, 0u);
    ASSERT_TRUE(armed_by_flood());
    const std::uint64_t later = ticks() + 3 * policy.services[kAuto].hold_ticks;
    pace(128, [&] { return ticks() > later || !state().armed; });
    EXPECT_EQ(state().armed, 1u);
    EXPECT_EQ(syn().reason(), SW_REASON_SYN_ANSWERED);
    EXPECT_EQ(count(SW_EVENT_DISARMED), 0u);
}

TEST_F(ArmingTest, AFloodKeepsItArmed) {
    ASSERT_TRUE(armed_by_flood());
    const std::uint64_t end = ticks() + 3 * policy.services[kAuto].hold_ticks;
    while (ticks() < end) ASSERT_EQ(syn().reason(), SW_REASON_SYN_ANSWERED);
    EXPECT_EQ(state().armings, 1u);
    EXPECT_EQ(count(SW_EVENT_DISARMED), 0u);
}

// A listener whose queue fills up needs help at any rate.
TEST_F(ArmingTest, AListenerThatDoesNotKeepUpArms) {
    constexpr unsigned busy = 7779;
    policy.ports[busy] = kAuto;
    policy.services[kAuto].hold_ticks = 64u << policy.config.window_shift;
    store();
    const Socket listener = listen_on(kHost4, busy);
    unsigned port = 1024;
    // One SYN in each window: nothing by rate.
    auto syn_of_a_window = [&] {
        const std::uint64_t here = ticks() >> policy.config.window_shift;
        send(tcp4({.source = ++port, .destination = busy, .syn = true}).bytes());
        return eventually([&] { return ticks() >> policy.config.window_shift != here; });
    };
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(syn_of_a_window());
    EXPECT_EQ(state().armed, 0u) << "an empty queue";
    std::vector<Socket> waiting;
    for (int i = 0; i <= kBacklog * 3 / 4; ++i) waiting.push_back(dial(listener, false));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(syn_of_a_window());
    EXPECT_EQ(state().armed, 1u);
    EXPECT_EQ(count(SW_EVENT_OVERFLOW), 1u);
    EXPECT_EQ(count(SW_EVENT_ARMED), 0u);
}

TEST_F(ArmingTest, MonitorArmsButPasses) {
    policy.services[kMonitor] = policy.services[kAuto];
    policy.services[kMonitor].mode = SW_MODE_MONITOR;
    store();
    unsigned port = 1024;
    EXPECT_TRUE(eventually([&] {
        const Bytes frame = tcp4({.source = ++port, .destination = kMonitorPort, .syn = true}).bytes();
        const Outcome seen = send(frame);
        EXPECT_EQ(seen.frame, frame);
        EXPECT_EQ(seen.action, 2u) << "XDP_PASS";
        return seen.reason() == SW_REASON_SYN_ANSWERED;
    }));
}

}  // namespace synward::bpf_test
