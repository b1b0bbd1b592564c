// SPDX-License-Identifier: GPL-2.0-or-later
// Monitor mode: everything passes untouched, and the counters tell what would
// have happened.
#include "fixture.h"
#include "lib/live_policy.h"
#include "mutator.h"

namespace synward::bpf_test {

class MonitorTest : public BpfTest {
  protected:
    void arm() {
        sw_state& state = policy.states[kMonitor];
        state.armed = 1;
        state.armings = state.trusted = 1;
        state.armed_at = static_cast<std::uint32_t>(ticks());
        policy.services[kMonitor].hold_ticks = 3600 * policy.config.hz;
        store();
    }
    static Packet packet(Tcp tcp, bool v6) {
        tcp.destination = kMonitorPort;
        return v6 ? tcp6(tcp) : tcp4(tcp);
    }
};

TEST_F(MonitorTest, IdleIsIdle) {
    expect(packet({.syn = true}, false), SW_REASON_SERVICE_IDLE, kMonitor);
    expect(packet({.ack = true}, true), SW_REASON_SERVICE_IDLE, kMonitor);
}

TEST_F(MonitorTest, CountsWhatAnArmedServiceWouldDo) {
    arm();
    for (const bool v6 : {false, true}) {
        expect(packet({.syn = true, .options = linux_syn_options()}, v6), SW_REASON_SYN_ANSWERED, kMonitor);
        expect(packet({.ack_seq = 1, .ack = true}, v6), SW_REASON_STRAY_ACK, kMonitor);
        expect(packet({.rst = true}, v6), SW_REASON_STRAY_RST, kMonitor);
        expect(packet({.fin = true, .syn = true}, v6), SW_REASON_BAD_FLAGS, kMonitor);
        expect(packet({.syn = true, .data_offset = 4}, v6), SW_REASON_BAD_TCP, kMonitor);
    }
    expect(Ethernet{} / Packet(Ipv4{.source = address("127.0.0.1")}) /
               Tcp{.destination = kMonitorPort, .syn = true},
           SW_REASON_BAD_SOURCE, kMonitor);
    expect(Ethernet{} / Packet(Ipv4{.more_fragments = true}) / Tcp{.destination = kMonitorPort, .syn = true},
           SW_REASON_FRAGMENT, kMonitor);
    policy.fates = {{kClient4, 32, SW_FATE_DENY}};
    store();
    expect(packet({.syn = true}, false), SW_REASON_SOURCE_DENIED, kMonitor);
}

TEST_F(MonitorTest, BudgetsAreCountedToo) {
    arm();
    policy.config.reply = {.interval = 250u << SW_TICK_SHIFT, .tolerance = 1};
    store();
    bool over = false;
    for (unsigned i = 0; i < 5; ++i) {
        const Bytes frame = packet({.source = 1000 + i, .syn = true}, false).bytes();
        const Outcome seen = send(frame);
        over |= seen.reason() == SW_REASON_SYN_OVER_BUDGET;
        EXPECT_EQ(seen.action, 2u) << "XDP_PASS";
        EXPECT_EQ(seen.frame, frame);
    }
    EXPECT_TRUE(over);
}

// Monitor stamps no SYN: what came in the meantime is in no filter when it begins to answer.
TEST_F(MonitorTest, ConnectionsMadeUnderItLiveOnInModeAuto) {
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        policy.ports[8091] = kMonitor;
        policy.services[kMonitor].mode = SW_MODE_MONITOR;
        arm();
        const Connection connection = connect_to(listener, v6);
        const Packet from = v6 ? Ethernet{} / Packet(Ipv6{.source = kNeighbour6})
                               : Ethernet{} / Packet(Ipv4{.source = kNeighbour4});
        Tcp tcp{.source = connection.client.port(), .destination = 8091, .syn = true};
        expect(from / tcp, SW_REASON_SYN_ANSWERED, kMonitor);
        change_mode(policy.states[kMonitor], SW_MODE_MONITOR, SW_MODE_AUTO,
                    static_cast<std::uint32_t>(ticks()));
        policy.services[kMonitor].mode = SW_MODE_AUTO;
        store();
        tcp.syn = false;
        tcp.ack = true;
        expect(from / tcp, SW_REASON_FLOW_LEARNED, kMonitor);
        expect(from / tcp, SW_REASON_FLOW_KNOWN, kMonitor);
    }
}

TEST_F(MonitorTest, NothingIsTouchedWhateverComes) {
    arm();
    const auto seed = Mutator::pick_seed();
    SCOPED_TRACE("SYNWARD_SEED=" + std::to_string(seed));
    Mutator random(seed);
    for (int i = 0; i < 2000 && !HasFailure(); ++i) {
        const Bytes frame = random.one_in(2) ? random.syn({kMonitorPort}) : random.segment({kMonitorPort});
        expect_judged(frame);
    }
}

}  // namespace synward::bpf_test
