// SPDX-License-Identifier: GPL-2.0-or-later
// Cookies expire, and keys change, without losing a handshake.
#include "cookie.h"
#include "fixture.h"

namespace synward::bpf_test {

class EpochTest : public BpfTest {
  protected:
    // An ACK with a cookie of our own making, from a tuple of its own.
    Bytes ack_of(std::uint32_t epoch, bool v6, const sw_keyring& keyring) {
        Tcp tcp{.source = next_port_++, .seq = 0x5000 + next_port_, .ack = true};
        Bytes frame = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const Segment s = dissect(frame);
        tcp.ack_seq = bake(s, s.seq - 1, 0x9f, epoch, keyring).isn + 1;
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }
    void expect_cookie(std::uint32_t epoch, bool good, const sw_keyring& keyring, const char* why) {
        for (const bool v6 : {false, true})
            expect(ack_of(epoch, v6, keyring), good ? SW_REASON_ACK_VALIDATED : SW_REASON_STRAY_ACK, kWeb,
                   std::string(why) + ", epoch " + std::to_string(static_cast<std::int32_t>(epoch - epoch_)));
    }

  private:
    unsigned next_port_ = 2000;
};

TEST_F(EpochTest, ThisOneAndTheOneBefore) {
    for (const int age : {-4, -3, -2, -1, 0, 1, 2, 3, 4, 100})
        expect_cookie(epoch_ - static_cast<std::uint32_t>(age), age == 0 || age == 1, policy.config.keyring,
                      "age");
}

TEST_F(EpochTest, EveryEpochHasOneKey) {
    sw_keyring& keyring = policy.config.keyring;
    for (const std::uint32_t current : {0u, 1u}) {
        for (const int since : {-5, -2, -1, 0, 1, 5}) {
            keyring.since = epoch_ + static_cast<std::uint32_t>(since);
            keyring.active = current;
            ++keyring.version;
            store();
            answered(tcp4({.syn = true, .options = linux_syn_options()}).bytes());
            answered(tcp6({.syn = true, .options = linux_syn_options()}).bytes());
            expect_cookie(epoch_, true, keyring, "right key");
            expect_cookie(epoch_ - 1, true, keyring, "right key");
            sw_keyring other = keyring;
            other.active = 1 - current;
            expect_cookie(epoch_, false, other, "the other key");
            expect_cookie(epoch_ - 1, false, other, "the other key");
        }
    }
}

TEST_F(EpochTest, RotationLosesNoHandshake) {
    const Bytes syn = tcp4({.syn = true, .options = linux_syn_options()}).bytes();
    const Bytes reply = answered(syn);
    sw_keyring& keyring = policy.config.keyring;
    keyring.key[1 - keyring.active][0] ^= 0x1111;  // step one: the key that no live cookie uses
    ++keyring.version;
    store();
    keyring.since = epoch_ + 1;  // step two: it is named for the next epoch
    keyring.active = 1 - keyring.active;
    ++keyring.version;
    store();
    expect(finishing_ack(syn, reply), SW_REASON_ACK_VALIDATED);
    // In the next epoch, seen from there: its cookies are made with the new key.
    --keyring.since;
    ++keyring.version;
    store();
    expect_cookie(epoch_, true, keyring, "new key");
    expect_cookie(epoch_ - 1, true, keyring, "old key, previous epoch");
}

// Epochs of a quarter of a second: a cookie is good in its own and in the next
// one, and at no time later.
TEST_F(EpochTest, CookiesExpireByTheKernelsClock) {
    policy.config.epoch_shift = 0;
    while ((4u << policy.config.epoch_shift) < policy.config.hz) ++policy.config.epoch_shift;
    store();
    for (const bool v6 : {false, true}) {
        const Tcp tcp{.seq = 77, .syn = true};
        const Bytes syn = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const std::uint32_t before = epoch();
        const Outcome seen = send(syn);
        ASSERT_EQ(seen.reason(), SW_REASON_SYN_ANSWERED);
        // The epoch may have changed between the two looks at the clock.
        const std::uint32_t isn = dissect(seen.frame).seq;
        std::optional<std::uint32_t> made;
        for (std::uint32_t candidate = before; candidate <= epoch(); ++candidate) {
            const Segment s = dissect(syn);
            if (bake(s, s.seq, option_byte(negotiate(s, policy.web())), candidate, policy.config.keyring)
                    .isn == isn)
                made = candidate;
        }
        ASSERT_TRUE(made) << "no epoch of this moment explains the cookie";

        const Bytes ack = finishing_ack(syn, seen.frame).bytes();
        bool was_good = false, was_bad = false;
        while (!was_bad) {
            clear_flows();
            const std::uint32_t earliest = epoch();
            const sw_reason reason = send(ack).reason();
            const std::uint32_t latest = epoch();
            ASSERT_TRUE(reason == SW_REASON_ACK_VALIDATED || reason == SW_REASON_STRAY_ACK)
                << reason_name(reason);
            if (latest <= *made + 1) {
                ASSERT_EQ(reason, SW_REASON_ACK_VALIDATED) << "refused too early";
            }
            if (earliest > *made + 1) {
                ASSERT_EQ(reason, SW_REASON_STRAY_ACK) << "accepted too long";
            }
            was_good |= reason == SW_REASON_ACK_VALIDATED;
            was_bad |= reason == SW_REASON_STRAY_ACK;
        }
        EXPECT_TRUE(was_good);
    }
}

}  // namespace synward::bpf_test
