// SPDX-License-Identifier: GPL-2.0-or-later
// The second kind of cookie: the kernel's, checked by feeding it back.
#include <time.h>

#include "cookie.h"
#include "fixture.h"
#include "reply.h"

namespace synward::bpf_test {

class KernelCookieTest : public BpfTest, public ::testing::WithParamInterface<sw_delivery> {
  protected:
    KernelCookieTest() {
        policy.web().delivery = static_cast<std::uint8_t>(GetParam());
        policy.config.flags |= SW_FLAG_TIMESTAMP_COOKIE;
        if (GetParam() == SW_DELIVERY_SYNPROXY) {  // its window opens when the server has answered
            for (auto& family : policy.web().window) family[0] = family[1] = 0;
        }
        store();
    }
    // What may be negotiated when the timestamp has to remember it.
    Negotiated negotiated(const Bytes& syn) {
        Negotiated n = negotiate(dissect(syn), policy.web());
        // SYNPROXY reads its own timestamps; a listener only with tcp_timestamps = 2.
        if (GetParam() == SW_DELIVERY_KERNEL && !(policy.config.flags & SW_FLAG_TIMESTAMP_COOKIE))
            n.timestamp.reset();
        if (!n.timestamp) {
            n.ecn = n.sack = false;
            n.wscale.reset();
        }
        return n;
    }
    // Compares everything but the cookie itself, and the low bits of the timestamp.
    Bytes expect_kernel_answer(const Bytes& syn, const std::string& why = {}) {
        const std::uint32_t before = milliseconds();
        const Outcome seen = send(syn);
        EXPECT_EQ(seen.reason(), SW_REASON_SYN_ANSWERED) << why << "\n"
                                                         << Counters::text(seen.counted) << hex(syn);
        if (seen.reason() != SW_REASON_SYN_ANSWERED) return {};
        const Segment reply = dissect(seen.frame);
        const auto stamp = read_options(reply.options).timestamp;
        const Negotiated n = negotiated(syn);
        Expectation expected = oracle().outcome(syn, SW_REASON_SYN_ANSWERED, kWeb);
        expected.frame = reply_with(syn, dissect(syn), policy.web(), n,
                                    {.isn = reply.seq, .timestamp = stamp ? stamp->value : 0});
        compare(syn, seen, expected, why);
        if (stamp) {
            // Of the clock that Linux stamps with: later segments must not look older (PAWS).
            EXPECT_LE(stamp->value, milliseconds());
            EXPECT_GE(stamp->value, before - 1000);
            EXPECT_EQ(stamp->value & 0x3f, option_byte(n) & 0x3f) << why;
        }
        return seen.frame;
    }
    static std::uint32_t milliseconds() {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<std::uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1'000'000);
    }
    static std::vector<Bytes> lists() {
        return {{},
                linux_syn_options(),
                windows_syn_options(),
                options({mss(1460)}),
                options({mss(1460), nop(), nop(), timestamp(5)}),
                options({mss(1460), nop(), nop(), timestamp(5), nop(), wscale(14)}),
                options({mss(1460), sack_permitted(), timestamp(5)}),
                options({timestamp(5), wscale(0), mss(900)})};
    }
    Bytes syn(bool v6, Tcp tcp) {
        tcp.source = next_port_++;
        tcp.syn = true;
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }

  private:
    // The helper that a listener's own check believes gives no cookie otherwise.
    const Sysctl always_{"net/ipv4/tcp_syncookies", "2"};
    unsigned next_port_ = 3000;
};

TEST_P(KernelCookieTest, AnswersAndTakesItsOwnCookieBack) {
    for (const bool v6 : {false, true}) {
        for (const Bytes& list : lists()) {
            for (const bool ecn : {false, true}) {
                const Bytes frame = syn(v6, {.ece = ecn, .cwr = ecn, .options = list});
                const Bytes reply = expect_kernel_answer(frame);
                ASSERT_FALSE(reply.empty());
                const Bytes ack = finishing_ack(frame, reply).bytes();
                const Outcome seen = send(ack);
                EXPECT_EQ(seen.reason(), SW_REASON_ACK_VALIDATED) << Counters::text(seen.counted);
                EXPECT_EQ(seen.action, 2u) << "XDP_PASS";
                EXPECT_EQ(seen.frame, ack);
            }
        }
    }
}

TEST_P(KernelCookieTest, WithoutTimestampsNothingIsNegotiated) {
    policy.web().options &= ~SW_OPTION_TIMESTAMP;
    store();
    for (const bool v6 : {false, true})
        for (const Bytes& list : lists()) expect_kernel_answer(syn(v6, {.options = list}), "no timestamps");
    policy.web().options |= SW_OPTION_TIMESTAMP;
    policy.config.flags &= ~static_cast<unsigned>(SW_FLAG_TIMESTAMP_COOKIE);
    store();
    for (const bool v6 : {false, true})
        for (const Bytes& list : lists())
            expect_kernel_answer(syn(v6, {.options = list}), "no timestamp cookies");
}

TEST_P(KernelCookieTest, TheServiceDecidesWhatIsNegotiated) {
    for (unsigned allowed = 0; allowed < 16; ++allowed) {
        policy.web().options = static_cast<std::uint8_t>(allowed);
        store();
        for (const bool v6 : {false, true})
            for (const Bytes& list : lists())
                expect_kernel_answer(syn(v6, {.ece = true, .cwr = true, .options = list}),
                                     "options " + std::to_string(allowed));
    }
}

TEST_P(KernelCookieTest, AForgedOneIsStray) {
    for (const bool v6 : {false, true}) {
        const Bytes frame = syn(v6, {.options = linux_syn_options()});
        const Bytes reply = expect_kernel_answer(frame);
        ASSERT_FALSE(reply.empty());
        const Bytes good = finishing_ack(frame, reply).bytes();
        const std::size_t tcp = v6 ? 54 : 34, source = v6 ? 37 : 29;
        for (const std::size_t at : {tcp + 1, tcp + 4, source, tcp + 8, tcp + 10}) {
            Bytes bad = good;
            bad[at] ^= 0x40;
            const Outcome seen = send(bad);
            // The kernel's address hash of a changed tuple may still leave an MSS index
            // that looks right in one of 2^22 cases.
            compare(bad, seen, oracle().outcome(bad, SW_REASON_STRAY_ACK, kWeb),
                    "byte " + std::to_string(at));
        }
        EXPECT_EQ(send(good).reason(), SW_REASON_ACK_VALIDATED);
    }
}

// With tcp_syncookies = 1 the listener takes cookies only while its queue overflows.
class KernelCookieRefusedTest : public BpfTest {};

TEST_F(KernelCookieRefusedTest, SynsThatGetNoCookiePass) {
    const Sysctl on_overflow("net/ipv4/tcp_syncookies", "1");
    policy.web().delivery = SW_DELIVERY_KERNEL;
    store();
    expect(tcp4({.syn = true}), SW_REASON_SYN_NO_COOKIE);
    expect(tcp6({.syn = true}), SW_REASON_SYN_NO_COOKIE);
}

// Of an arming's first two minutes: the listener has given cookies before.
TEST_F(KernelCookieRefusedTest, ThoseOfBeforeTheArmingPass) {
    const Sysctl always("net/ipv4/tcp_syncookies", "2");
    for (const bool v6 : {false, true}) {
        policy.web().delivery = SW_DELIVERY_KERNEL;
        store();
        const Tcp tcp{.source = 3000, .syn = true};
        const Bytes frame = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const Outcome reply = send(frame);
        ASSERT_EQ(reply.reason(), SW_REASON_SYN_ANSWERED);
        const Bytes ack = finishing_ack(frame, reply.frame).bytes();

        policy.web().delivery = SW_DELIVERY_REQSK;
        sw_state& state = policy.states[kWeb];
        state.armed_since = static_cast<std::uint32_t>(ticks());
        store();
        EXPECT_EQ(send(ack).reason(), SW_REASON_ACK_OLD_COOKIE);
        Bytes forged = ack;
        forged[(v6 ? 54 : 34) + 8] ^= 0x40;
        EXPECT_EQ(send(forged).reason(), SW_REASON_STRAY_ACK);
        state.armed_since -= 120 * policy.config.hz + SW_TICKS_LATE;
        store();
        EXPECT_EQ(send(ack).reason(), SW_REASON_STRAY_ACK);
    }
}

INSTANTIATE_TEST_SUITE_P(Delivery, KernelCookieTest,
                         ::testing::Values(SW_DELIVERY_KERNEL, SW_DELIVERY_SYNPROXY), [](const auto& test) {
                             return test.param == SW_DELIVERY_KERNEL ? "kernel" : "synproxy";
                         });

}  // namespace synward::bpf_test
