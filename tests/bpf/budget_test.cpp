// SPDX-License-Identifier: GPL-2.0-or-later
// Reply budgets: synward is no reflector.
#include <algorithm>
#include <memory>

#include "fixture.h"
#include "poll.h"

namespace synward::bpf_test {

// `burst` packets at once, and one more every `ticks`.
sw_rate_limit limit(unsigned burst, unsigned ticks) {
    const std::uint32_t interval = ticks << SW_TICK_SHIFT;
    return {.interval = interval, .tolerance = (burst - 1) * interval};
}

class BudgetTest : public BpfTest {
  protected:
    Packet syn(const Address& source) {
        const Tcp tcp{.source = 1024 + next_++ % 60000, .syn = true};
        if (source.size() == 4) return Ethernet{} / Packet(Ipv4{.source = source}) / tcp;
        return Ethernet{} / Packet(Ipv6{.source = source}) / tcp;
    }
    // How many of `count` SYNs are answered; the others must be refused for `reason`.
    unsigned answers(const Address& source, unsigned count, sw_reason reason) {
        unsigned result = 0;
        while (count--) {
            const Bytes frame = syn(source).bytes();
            const Outcome seen = send(frame);
            const bool tx = seen.reason() == SW_REASON_SYN_ANSWERED;
            result += tx;
            compare(frame, seen, oracle().outcome(frame, tx ? SW_REASON_SYN_ANSWERED : reason, kWeb),
                    "budget");
        }
        return result;
    }
    // Packets that time can have let in since `start`, one every `interval` ticks; rounded up.
    static unsigned refilled(std::uint64_t start, unsigned interval) {
        return static_cast<unsigned>((ticks() - start) / interval + 1);
    }

  private:
    unsigned next_ = 0;
};

TEST_F(BudgetTest, WithoutALimitEverySynIsAnswered) {
    EXPECT_EQ(answers(kClient4, 500, SW_REASON_SYN_OVER_BUDGET), 500u);
    EXPECT_EQ(answers(kClient6, 500, SW_REASON_SYN_OVER_BUDGET), 500u);
}

TEST_F(BudgetTest, TheInterfaceAnswersItsBurstAndNoMore) {
    policy.config.reply = limit(10, 250);
    store();
    const auto start = ticks();
    const unsigned seen =
        answers(kClient4, 40, SW_REASON_SYN_OVER_BUDGET) + answers(kClient6, 40, SW_REASON_SYN_OVER_BUDGET);
    EXPECT_GE(seen, 10u);
    EXPECT_LE(seen, 10 + refilled(start, 250));
}

TEST_F(BudgetTest, TimeRefillsIt) {
    policy.config.reply = limit(2, 1);
    store();
    ASSERT_TRUE(
        eventually([&] { return send(syn(kClient4).bytes()).reason() == SW_REASON_SYN_OVER_BUDGET; }));
    EXPECT_TRUE(eventually([&] { return send(syn(kClient4).bytes()).reason() == SW_REASON_SYN_ANSWERED; }));
}

TEST_F(BudgetTest, APrefixAnswersItsBurstAndOthersAreNotHurt) {
    policy.config.prefix = limit(5, 250);
    store();
    const std::vector<std::pair<const char*, const char*>> pairs = {
        {"203.0.113.5", "198.19.200.5"}, {"2001:db8:1:1::5", "2001:db8:9999:1::5"}};
    for (const auto& [hot, calm] : pairs) {
        const auto start = ticks();
        const unsigned seen = answers(address(hot), 60, SW_REASON_SYN_OVER_PREFIX);
        EXPECT_GE(seen, 5u);
        EXPECT_LE(seen, 5 + refilled(start, 250));
        EXPECT_EQ(answers(address(calm), 3, SW_REASON_SYN_OVER_PREFIX), 3u);
    }
    // Sources of one prefix share: an attacker's /64 is one source.
    const auto start = ticks();
    unsigned seen = 0;
    for (unsigned i = 0; i < 60; ++i) {
        Address source = address("2001:db8:5:5::");
        source[15] = static_cast<std::uint8_t>(i);
        source[8] = static_cast<std::uint8_t>(7 * i);
        seen += answers(source, 1, SW_REASON_SYN_OVER_PREFIX);
    }
    EXPECT_LE(seen, 5 + refilled(start, 250));
}

TEST_F(BudgetTest, AcksAndOtherPortsAreNotLimited) {
    const Bytes early = syn(kClient4).bytes();
    const Bytes reply = answered(early);
    policy.config.reply = limit(2, 250);
    store();
    answers(kClient4, 10, SW_REASON_SYN_OVER_BUDGET);
    expect(finishing_ack(early, reply), SW_REASON_ACK_VALIDATED);
    expect(tcp4({.destination = kFreePort, .syn = true}), SW_REASON_NO_SERVICE, kNone);
}

// One hot prefix must not use up what the others need.
TEST_F(BudgetTest, WhatAPrefixIsRefusedIsNotTakenFromTheInterface) {
    policy.config.reply = limit(20, 250);
    policy.config.prefix = limit(5, 250);
    store();
    answers(address("203.0.113.5"), 100, SW_REASON_SYN_OVER_PREFIX);
    EXPECT_EQ(answers(address("198.19.200.5"), 3, SW_REASON_SYN_OVER_PREFIX), 3u);
}

// A limit of a packet a second says just that, over a while.
TEST_F(BudgetTest, TheLongRunRateIsTheIntervals) {
    policy.config.reply = limit(1, 4);
    policy.config.reply.tolerance = 1;  // 0 would be no limit
    store();
    const std::uint64_t start = ticks();
    unsigned seen = 0;
    while (ticks() - start < 64) seen += send(syn(kClient4).bytes()).reason() == SW_REASON_SYN_ANSWERED;
    EXPECT_LE(seen, (ticks() - start) / 4 + 1);
    EXPECT_GE(seen, 8u) << "half of what is due, on a machine that has other work";
}

// The clock of the limiter wraps in minutes: whatever it holds from an earlier
// turn, a quiet service answers its burst.
TEST_F(BudgetTest, AnOldTimeIsNoDebt) {
    policy.config.reply = policy.config.prefix = limit(5, 250);
    store();
    for (unsigned step = 1; step < 64; ++step) {
        // Behind what five packets can have reserved, all round the clock.
        const std::uint32_t reserved = 5 * (250u << SW_TICK_SHIFT) + (1u << 24);
        const std::uint32_t now = static_cast<std::uint32_t>(ticks()) << SW_TICK_SHIFT;
        auto cpu = std::make_unique<sw_cpu>();
        cpu->reply = now + reserved + static_cast<std::uint32_t>((0xffffffffull - reserved) * step / 64);
        std::fill(std::begin(cpu->prefix), std::end(cpu->prefix), cpu->reply);
        object().write("sw_cpu", static_cast<std::uint32_t>(pinned_cpu() % SW_CPUS), *cpu);
        ASSERT_EQ(answers(kClient4, 5, SW_REASON_SYN_OVER_BUDGET), 5u)
            << "time " << static_cast<std::int32_t>(cpu->reply - now) / 65536 << " ticks from now";
    }
}

}  // namespace synward::bpf_test
