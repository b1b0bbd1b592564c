// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon learns from, as the ring buffer holds it: completed handshakes
// and shapes of SYNs, and how many of them there may be.
#include <arpa/inet.h>
#include <time.h>

#include <algorithm>

#include "cookie.h"
#include "event_queue.h"
#include "fixture.h"

namespace synward::bpf_test {

class ObservationTest : public BpfTest {
  protected:
    ObservationTest() : events(object()) {
        policy.config.flags |= SW_FLAG_REPORT;
        policy.config.sample_ticks = policy.config.hz / SW_SAMPLES_PER_SECOND;
        store();
    }
    // The ACK of a cookie that no SYN was sent for; a new tuple each time.
    Bytes good_ack(bool v6, unsigned port = kWebPort) {
        Tcp tcp{.source = 1024 + next_ % 60000, .destination = port, .seq = 0x01000000 + next_, .ack = true};
        ++next_;
        const Segment s = dissect((v6 ? tcp6(tcp) : tcp4(tcp)).bytes());
        tcp.ack_seq = bake(s, s.seq - 1, 0x5f, epoch_, policy.config.keyring).isn + 1;
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }
    static std::uint64_t monotonic_now() {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
               static_cast<std::uint64_t>(now.tv_nsec);
    }

    EventQueue events;

  private:
    unsigned next_ = 0;
};

TEST_F(ObservationTest, AHandshakeSaysWhoProvedItself) {
    std::size_t count = 0;
    for (const bool v6 : {false, true}) {
        for (const auto& [port, service] : {std::pair{kWebPort, kWeb}, {kBoundPort, kBound}}) {
            const Bytes ack = good_ack(v6, port);
            const std::uint64_t before = monotonic_now();
            expect(ack, SW_REASON_ACK_VALIDATED, service);
            const auto seen = events.of(SW_EVENT_HANDSHAKE);
            ASSERT_EQ(seen.size(), ++count);
            const sw_event& event = seen.back();
            const Segment s = dissect(ack);
            EXPECT_GE(event.time, before);
            EXPECT_LE(event.time, monotonic_now());
            EXPECT_EQ(event.service, service);
            EXPECT_EQ(event.family, v6 ? SW_IPV6 : SW_IPV4);
            Address source(std::begin(event.source), std::end(event.source));
            Address destination(std::begin(event.destination), std::end(event.destination));
            if (!v6) {
                EXPECT_EQ(Address(source.begin() + 4, source.end()), Address(12)) << "behind an IPv4 address";
                source.resize(4);
                destination.resize(4);
            }
            EXPECT_EQ(source, s.source);
            EXPECT_EQ(destination, s.destination);
            EXPECT_EQ(ntohs(event.source_port), s.source_port);
            EXPECT_EQ(ntohs(event.destination_port), port);
            EXPECT_EQ(event.rate, 0u);
            EXPECT_EQ(event.shape.layout, 0u);
        }
    }
}

// What nobody is woken for fills the buffer, until an arming does not fit in.
TEST_F(ObservationTest, TheReaderIsWoken) {
    EXPECT_FALSE(events.woken());
    send(good_ack(false));
    EXPECT_TRUE(events.woken()) << "the first handshake of a while";
    EXPECT_EQ(events.of(SW_EVENT_HANDSHAKE).size(), 1u);
    EXPECT_FALSE(events.woken());
    policy.config.window_shift = 0;
    policy.services[kAuto].arm_syns = 1u << 30;
    store();
    const Bytes syn = tcp4({.destination = kAutoPort, .syn = true}).bytes();
    const std::uint64_t end = ticks() + policy.config.hz / 4;
    while (ticks() < end) send(syn);
    EXPECT_TRUE(events.woken()) << "shapes of a quiet service";
    EXPECT_GE(events.of(SW_EVENT_SHAPE).size(), 1u);
}

TEST_F(ObservationTest, ABadCookieProvesNothing) {
    for (const bool v6 : {false, true}) {
        Bytes ack = good_ack(v6);
        ack[(v6 ? 54 : 34) + 8] ^= 0x80;
        expect(ack, SW_REASON_STRAY_ACK);
    }
    EXPECT_TRUE(events.of(SW_EVENT_HANDSHAKE).empty());
}

TEST_F(ObservationTest, NobodyListensNothingIsReported) {
    policy.config.flags &= ~static_cast<__u32>(SW_FLAG_REPORT);
    policy.config.window_shift = 0;
    policy.config.sample_ticks = 0;
    store();
    for (int i = 0; i < 20; ++i) {
        expect(good_ack(i % 2), SW_REASON_ACK_VALIDATED);
        send(tcp4({.destination = kAutoPort, .syn = true}).bytes());
    }
    EXPECT_TRUE(events.of(SW_EVENT_HANDSHAKE).empty());
    EXPECT_TRUE(events.of(SW_EVENT_SHAPE).empty());
}

// A quarter of a second's worth at once, then the rate: a flood of handshakes fills no buffer.
TEST_F(ObservationTest, HandshakesAreLimited) {
    const std::uint64_t start = ticks();
    constexpr unsigned sent = 1500;
    for (unsigned i = 0; i < sent; ++i) ASSERT_EQ(send(good_ack(i % 2)).reason(), SW_REASON_ACK_VALIDATED);
    const std::size_t seen = events.of(SW_EVENT_HANDSHAKE).size();
    const std::uint64_t elapsed = ticks() - start + 1;
    EXPECT_GE(seen, std::size_t{SW_HANDSHAKES_PER_SECOND / 4});
    EXPECT_LE(seen, SW_HANDSHAKES_PER_SECOND / 4 + 2 + elapsed * SW_HANDSHAKES_PER_SECOND / policy.config.hz);
}

TEST_F(ObservationTest, ShapesAreLimitedAndOnlyOfAQuietService) {
    policy.config.window_shift = 0;
    policy.services[kAuto].arm_syns = 1u << 30;
    store();
    const Bytes syn = tcp4({.destination = kAutoPort, .syn = true, .options = linux_syn_options()}).bytes();
    const std::uint64_t start = ticks(), end = start + policy.config.hz / 2;
    while (ticks() < end) send(syn);
    const std::size_t seen = events.of(SW_EVENT_SHAPE).size();
    EXPECT_GE(seen, 2u);
    EXPECT_LE(seen, (ticks() - start) / policy.config.sample_ticks + 1);

    sw_state& state = policy.states[kAuto];
    state.armed = state.armings = state.trusted = 1;
    state.armed_at = static_cast<std::uint32_t>(ticks());
    policy.services[kAuto].hold_ticks = 3600 * policy.config.hz;
    store();
    EventQueue later(object());
    const std::uint64_t stop = ticks() + policy.config.hz / 4;
    while (ticks() < stop) ASSERT_EQ(send(syn).reason(), SW_REASON_SYN_ANSWERED);
    EXPECT_TRUE(later.of(SW_EVENT_SHAPE).empty()) << "a flood must teach nothing";
}

}  // namespace synward::bpf_test
