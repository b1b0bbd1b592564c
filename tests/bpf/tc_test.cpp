// SPDX-License-Identifier: GPL-2.0-or-later
// The tc program where the driver carries no metadata: the flow table says what XDP wanted.
// A test run is not at tc ingress, so the kernel refuses the request socket in each; real
// ones are made in tests/net/metadata.test, on kernels whose TAP devices have no metadata.
#include <bpf/bpf.h>

#include "fixture.h"

namespace synward::bpf_test {

class TcTest : public BpfTest {
  protected:
    static constexpr int kUnspecified = -1, kShot = 2;
    static constexpr std::uint32_t kForeignMark = 0x12340042;

    TcTest() {
        policy.config.no_metadata = 1;
        policy.config.grace_ticks = 1000;
        store();
    }
    struct Run {
        int verdict = 0;
        std::uint32_t mark = 0;
        Counters::Table counted;
    };
    Run tc(const Bytes& frame) {
        __sk_buff in{}, out{};
        in.mark = kForeignMark;
        LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(),
                    .data_size_in = static_cast<std::uint32_t>(frame.size()), .ctx_in = &in, .ctx_out = &out,
                    .ctx_size_in = sizeof in, .ctx_size_out = sizeof out, .repeat = 1);
        EXPECT_EQ(bpf_prog_test_run_opts(object().program(SW_PROGRAM_TC), &options), 0);
        return {static_cast<int>(options.retval), out.mark, counters.changes()};
    }
    static Bytes ack(bool v6, unsigned port = kWebPort) {
        const Tcp tcp{.destination = port, .ack_seq = 9, .ack = true};
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }
    void expect_untouched(const Bytes& frame, const std::string& why) {
        const Run seen = tc(frame);
        EXPECT_EQ(seen.verdict, kUnspecified) << why;
        EXPECT_EQ(seen.mark, kForeignMark) << why;
        EXPECT_TRUE(seen.counted.empty()) << why << ": " << Counters::text(seen.counted);
    }
    void expect_delivered(const Bytes& frame, sw_reason reason, int verdict = kUnspecified) {
        const Run seen = tc(frame);
        const Counters::Table counted = {{{kWeb, reason}, 1}, {{kWeb, SW_REASON_TC_MARKED}, 1}};
        EXPECT_EQ(seen.verdict, verdict);
        EXPECT_EQ(seen.mark, (kForeignMark & ~SW_MARK_CLASS_MASK) | SW_MARK_VALIDATED);
        EXPECT_EQ(seen.counted, counted) << Counters::text(seen.counted);
    }
};

TEST_F(TcTest, RecallsAHandshakeFromTheFlowTable) {
    for (const bool v6 : {false, true}) {
        expect_untouched(ack(v6), "of no flow");
        put_flow(dissect(ack(v6)), SW_FLOW_HANDSHAKE, 0x17);
        expect_delivered(ack(v6), SW_REASON_TC_REFUSED);
        put_flow(dissect(ack(v6)), SW_FLOW_CONFIRMED, 0x17);
        expect_untouched(ack(v6), "the kernel has the connection");
    }
}

TEST_F(TcTest, RecallsNothingWhereMetadataIsCarried) {
    policy.config.no_metadata = 0;
    store();
    put_flow(dissect(ack(false)), SW_FLOW_HANDSHAKE, 0);
    expect_untouched(ack(false), "the driver has metadata");
}

TEST_F(TcTest, RecallsNoOldHandshake) {
    policy.config.grace_ticks = 0;
    store();
    const Segment segment = dissect(ack(false));
    const std::uint64_t hash = flow_hash(segment);
    sw_flow_set set = read_flow_set(segment);
    set.entry[sw_flow_way(hash)] = sw_flow_entry(static_cast<std::uint32_t>(hash), 0, SW_FLOW_HANDSHAKE,
                                                 static_cast<std::uint32_t>(ticks()) - 100);
    write_flow_set(segment, set);
    expect_untouched(ack(false), "older than the grace time");
}

TEST_F(TcTest, RecallsOnlyPlainHeaders) {
    const Tcp tcp{.destination = kWebPort, .ack_seq = 9, .ack = true};
    const Bytes optioned = (Ethernet{} / Packet(Ipv4{.options = Bytes(4, 1)}) / tcp).bytes();
    put_flow(dissect(optioned), SW_FLOW_HANDSHAKE, 0);
    expect_untouched(optioned, "IP options");
}

TEST_F(TcTest, AListenerThatWentAway) {
    constexpr unsigned deserted = 7777;
    policy.ports[deserted] = kWeb;
    store();
    for (const bool v6 : {false, true}) {
        put_flow(dissect(ack(v6, deserted)), SW_FLOW_HANDSHAKE, 0);
        expect_delivered(ack(v6, deserted), SW_REASON_TC_NO_LISTENER);
    }
}

TEST_F(TcTest, AFullAcceptQueueLosesTheAckAsTheKernelWould) {
    constexpr unsigned busy = 7778;
    policy.ports[busy] = kWeb;
    store();
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, busy);
        put_flow(dissect(ack(v6, busy)), SW_FLOW_HANDSHAKE, 0);
        expect_delivered(ack(v6, busy), SW_REASON_TC_REFUSED);
        std::vector<Socket> waiting;
        for (unsigned i = 0; i <= kBacklog; ++i) waiting.push_back(dial(listener, v6));
        expect_delivered(ack(v6, busy), SW_REASON_TC_ACCEPT_FULL, kShot);
        EXPECT_EQ(flow_entry(dissect(ack(v6, busy))), 0u) << "so that what comes again is checked anew";
    }
}

}  // namespace synward::bpf_test
