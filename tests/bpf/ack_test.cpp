// SPDX-License-Identifier: GPL-2.0-or-later
// The ACK that finishes a handshake, and every ACK that only looks like it.
#include <bpf/bpf.h>

#include "cookie.h"
#include "fixture.h"
#include "poll.h"

namespace synward::bpf_test {

class AckTest : public BpfTest {
  protected:
    // A SYN of a tuple that no test used before.
    Bytes fresh_syn(bool v6, Tcp tcp = {.options = linux_syn_options()}) {
        tcp.source = next_port_++;
        tcp.seq += 0x01010101 * next_port_;
        tcp.syn = true;
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }
    static std::uint64_t flow_of(const Bytes& frame) { return flow_entry(dissect(frame)); }

  private:
    unsigned next_port_ = 2000;
};

TEST_F(AckTest, FinishesTheHandshakeWithEveryOption) {
    const std::vector<Bytes> lists = {{},
                                      linux_syn_options(),
                                      windows_syn_options(),
                                      options({mss(536)}),
                                      options({mss(1420), nop(), wscale(14)}),
                                      options({mss(9000), nop(), nop(), timestamp(1)}),
                                      options({mss(1300), sack_permitted(), nop(), nop()})};
    for (const bool v6 : {false, true}) {
        for (const Bytes& list : lists) {
            for (const bool ecn : {false, true}) {
                const Bytes syn = fresh_syn(v6, {.ece = ecn, .cwr = ecn, .options = list});
                const Bytes ack = finishing_ack(syn, answered(syn)).bytes();
                const std::uint64_t before = ticks();
                expect(ack, SW_REASON_ACK_VALIDATED, kWeb);
                const auto flow = flow_of(ack);
                ASSERT_TRUE(flow) << "no flow for a validated ACK";
                EXPECT_EQ(sw_flow_state_of(flow), SW_FLOW_HANDSHAKE);
                EXPECT_EQ(sw_flow_options(flow), option_byte(negotiate(dissect(syn), policy.web())));
                const std::uint64_t after = ticks();
                EXPECT_LE(sw_flow_age(flow, static_cast<std::uint32_t>(after)), after - before);
            }
        }
    }
}

TEST_F(AckTest, WhatFollowsRightBehindIsMarked) {
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        const Bytes reply = answered(syn);
        const Packet ack = finishing_ack(syn, reply);
        expect(ack, SW_REASON_ACK_VALIDATED);
        expect(ack, SW_REASON_ACK_FOLLOWS, kWeb, "the same once more");
        expect(finishing_ack(syn, reply, {.psh = true}) / Payload{Bytes(100, 'x')}, SW_REASON_ACK_FOLLOWS,
               kWeb, "data");
        expect(finishing_ack(syn, reply, {.fin = true}), SW_REASON_ACK_FOLLOWS, kWeb, "FIN");
    }
}

TEST_F(AckTest, ALostDeliveryIsRepeated) {
    policy.config.grace_ticks = 1;
    store();
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        const Bytes ack = finishing_ack(syn, answered(syn)).bytes();
        expect(ack, SW_REASON_ACK_VALIDATED);
        Outcome last;
        EXPECT_TRUE(eventually([&] { return (last = send(ack)).reason() != SW_REASON_ACK_FOLLOWS; }));
        compare(ack, last, oracle().outcome(ack, SW_REASON_ACK_REVALIDATED, kWeb), "no socket came of it");
    }
}

TEST_F(AckTest, MayCarryDataAndFlags) {
    for (const bool v6 : {false, true}) {
        for (const Tcp& extra :
             {Tcp{.psh = true}, Tcp{.urg = true, .urgent = 3}, Tcp{.ece = true}, Tcp{.cwr = true},
              Tcp{.reserved = 7}, Tcp{.window = 0}, Tcp{.checksum = 0}, Tcp{.fin = true}}) {
            for (const unsigned size : {0u, 1u, 1400u}) {
                const Bytes syn = fresh_syn(v6);
                expect(finishing_ack(syn, answered(syn), extra) / Payload{Bytes(size)},
                       SW_REASON_ACK_VALIDATED);
            }
        }
    }
}

TEST_F(AckTest, WithAnyOtherTupleItIsStray) {
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        const Bytes good = finishing_ack(syn, answered(syn)).bytes();
        const std::size_t tcp = v6 ? 54 : 34, source = v6 ? 22 : 26, length = v6 ? 16 : 4;
        const auto flipped = [&](std::size_t byte, unsigned bit) {
            Bytes bad = good;
            bad[byte] ^= static_cast<std::uint8_t>(1u << bit);
            Oracle told = oracle();
            told.listener = [](const Address& to, unsigned) {
                return to == kHost4 || to == kHost6 ? SW_LISTENER_PLAIN : SW_LISTENER_NONE;
            };
            compare(bad, send(bad), told.judge(bad), "another tuple");
            EXPECT_FALSE(flow_of(bad)) << "a stray packet made a flow";
        };
        for (unsigned bit = 0; bit < 8; ++bit) {
            for (std::size_t i = 0; i < 2 * length; ++i) flipped(source + i, bit);  // addresses
            flipped(tcp, bit);                                                      // source port
            flipped(tcp + 1, bit);
            for (std::size_t i = 0; i < 4; ++i) flipped(tcp + 4 + i, bit);  // the client's ISN
        }
        expect(good, SW_REASON_ACK_VALIDATED, kWeb, "the good one is still good");
    }
}

// 23 check bits and the epoch's bit prove the tuple; the option byte is free (docs/cookies.md).
TEST_F(AckTest, EveryBitOfTheCookieCounts) {
    for (const bool v6 : {false, true}) {
        for (unsigned bit = 0; bit < 32; ++bit) {
            const Bytes syn = fresh_syn(v6, {});
            const std::uint32_t isn = dissect(answered(syn)).seq;
            Bytes ack = finishing_ack(syn, answered(syn)).bytes();
            set32(ack, (v6 ? 54 : 34) + 8, (isn ^ 1u << bit) + 1);
            expect(ack, bit >= 1 && bit <= 8 ? SW_REASON_ACK_VALIDATED : SW_REASON_STRAY_ACK, kWeb,
                   "bit " + std::to_string(bit));
        }
    }
}

TEST_F(AckTest, TheEchoedTimestampMustBeOurs) {
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        const Bytes reply = answered(syn);
        const auto stamp = read_options(dissect(reply).options).timestamp;
        ASSERT_TRUE(stamp);
        const auto with = [&](std::uint32_t echo) {
            return finishing_ack(syn, reply, {.options = options({nop(), nop(), timestamp(7, echo)})});
        };
        for (unsigned bit = 0; bit < 32; ++bit) expect(with(stamp->value ^ 1u << bit), SW_REASON_STRAY_ACK);
        expect(with(0), SW_REASON_STRAY_ACK);
        expect(with(stamp->value), SW_REASON_ACK_VALIDATED);
    }
}

TEST_F(AckTest, TheTimestampMayStandAnywhere) {
    for (const bool v6 : {false, true}) {
        for (const bool good : {true, false}) {
            const auto lists = [&](std::uint32_t echo) -> std::vector<Bytes> {
                return {
                    options({timestamp(7, echo)}),
                    options({nop(), timestamp(7, echo)}),
                    options({timestamp(7, echo), nop(), nop()}),
                    options({raw_option(5, 10, Bytes(8)), timestamp(7, echo)}),
                    options({timestamp(7, echo + 1), timestamp(7, echo)}),
                    options({nop(), nop(), timestamp(7, echo), nop(), nop(), raw_option(5, 10, Bytes(8))}),
                    options({raw_option(253, 4, Bytes(2)), nop(), timestamp(7, echo)})};
            };
            for (std::size_t i = 0; i < lists(0).size(); ++i) {
                const Bytes syn = fresh_syn(v6);
                const Bytes reply = answered(syn);
                const std::uint32_t echo = read_options(dissect(reply).options).timestamp->value;
                expect(finishing_ack(syn, reply, {.options = lists(good ? echo : echo ^ 1)[i]}),
                       good ? SW_REASON_ACK_VALIDATED : SW_REASON_STRAY_ACK, kWeb,
                       "list " + std::to_string(i));
            }
        }
    }
}

// Middleboxes strip options; 23 bits have to do then.
TEST_F(AckTest, WithoutTimestampTheCookieIsEnough) {
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        expect(finishing_ack(syn, answered(syn), {.options = Bytes(4, 1)}), SW_REASON_ACK_VALIDATED);
    }
}

TEST_F(AckTest, StraysTakeTheConfiguredAction) {
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP, SW_ACTION_ESCALATE}) {
        policy.web().stray = action;
        store();
        for (const bool v6 : {false, true}) {
            const auto packet = [&](const Tcp& tcp) { return v6 ? tcp6(tcp) : tcp4(tcp); };
            expect(packet({.ack_seq = 5, .ack = true}), SW_REASON_STRAY_ACK);
            expect(packet({.ack_seq = 5, .fin = true, .ack = true}), SW_REASON_STRAY_ACK);
            expect(packet({.ack_seq = 5, .psh = true, .ack = true}) / Payload{Bytes(9)}, SW_REASON_STRAY_ACK);
            expect(packet({.ack_seq = 5, .syn = true, .ack = true}), SW_REASON_STRAY_SYNACK);
            expect(packet({.rst = true}), SW_REASON_STRAY_RST);
            expect(packet({.ack_seq = 5, .rst = true, .ack = true}), SW_REASON_STRAY_RST);
            expect(packet({.fin = true}), SW_REASON_STRAY_OTHER);
        }
    }
}

TEST_F(AckTest, ACookieOnAnotherKindOfSegmentIsNoHandshake) {
    for (const bool v6 : {false, true}) {
        const Bytes syn = fresh_syn(v6);
        const Bytes reply = answered(syn);
        expect(finishing_ack(syn, reply, {.rst = true}), SW_REASON_STRAY_RST);
        expect(finishing_ack(syn, reply, {.syn = true}), SW_REASON_STRAY_SYNACK);
        expect(finishing_ack(syn, reply), SW_REASON_ACK_VALIDATED);
    }
}

}  // namespace synward::bpf_test
