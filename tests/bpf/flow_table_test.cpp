// SPDX-License-Identifier: GPL-2.0-or-later
// The flow table's sets (lib/abi/flow.h): who is found, who gives way, what a
// clock that wraps does to it.
#include <algorithm>

#include "cookie.h"
#include "fixture.h"

namespace synward::bpf_test {

class FlowTableTest : public BpfTest {
  protected:
    FlowTableTest() {
        // Every tuple may be in the table.
        fill_filter(Filter::first_generation);
    }
    static std::uint32_t now() { return static_cast<std::uint32_t>(ticks()); }
    [[nodiscard]] std::uint32_t seconds(unsigned count) const { return count * policy.config.hz; }

    // The ACK that finishes a handshake of a cookie that no SYN was sent for.
    [[nodiscard]] Bytes good_ack(bool v6, unsigned port = 5000) const {
        Tcp tcp{.source = port, .ack = true};
        const Segment s = dissect((v6 ? tcp6(tcp) : tcp4(tcp)).bytes());
        tcp.ack_seq = bake(s, s.seq - 1, 0x5f, epoch_, policy.config.keyring).isn + 1;
        return (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
    }
    static std::uint32_t tag(const Bytes& frame) {
        return static_cast<std::uint32_t>(flow_hash(dissect(frame)));
    }
    // Somebody else's connection in the same set: `nth` foreign tag.
    std::uint64_t foreign(const Bytes& frame, unsigned nth, std::uint32_t age) const {
        return sw_flow_entry(tag(frame) ^ (0x01010101u * (nth + 1)), 0x11, SW_FLOW_CONFIRMED, now() - age);
    }
    static std::size_t place_of(const sw_flow_set& set, std::uint32_t tag) {
        for (std::size_t way = 0; way < SW_FLOW_WAYS; ++way)
            if (static_cast<std::uint32_t>(set.entry[way]) == tag) return way;
        return SW_FLOW_WAYS;
    }
};

TEST_F(FlowTableTest, AConnectionIsFoundInEveryWayOfItsSet) {
    for (const bool v6 : {false, true}) {
        const Packet packet = v6 ? tcp6({.ack = true}) : tcp4({.ack = true});
        const Segment s = dissect(packet.bytes());
        for (unsigned way = 0; way < SW_FLOW_WAYS; ++way) {
            sw_flow_set set{};
            for (unsigned i = 0; i < SW_FLOW_WAYS; ++i) set.entry[i] = foreign(packet.bytes(), i, 0);
            write_flow_set(s, set);
            expect(packet, SW_REASON_STRAY_ACK, kWeb, "foreign tags only");
            set.entry[way] = sw_flow_entry(tag(packet.bytes()), 0x5f, SW_FLOW_CONFIRMED, now());
            write_flow_set(s, set);
            expect(packet, SW_REASON_FLOW_KNOWN, kWeb, "way " + std::to_string(way));
        }
    }
}

TEST_F(FlowTableTest, OnlyInItsOwnSet) {
    for (const bool v6 : {false, true}) {
        const Packet packet = v6 ? tcp6({.ack = true}) : tcp4({.ack = true});
        const Segment s = dissect(packet.bytes());
        sw_flow_set everywhere{};
        for (auto& entry : everywhere.entry)
            entry = sw_flow_entry(tag(packet.bytes()), 0x5f, SW_FLOW_CONFIRMED, now());
        for (std::uint32_t i = 0; i < 1u << kFlowShift; ++i) object().write("sw_flows", i, everywhere);
        expect(packet, SW_REASON_FLOW_KNOWN, kWeb, "the tag in every set");
        write_flow_set(s, {});
        expect(packet, SW_REASON_STRAY_ACK, kWeb, "in every set but its own");
        clear_flows();
    }
}

// 31 of 32 bits of the tag are not enough; state NONE is nobody.
TEST_F(FlowTableTest, EveryBitOfTheTagCounts) {
    const Packet packet = tcp4({.ack = true});
    const Segment s = dissect(packet.bytes());
    for (unsigned bit = 0; bit < 32; ++bit) {
        sw_flow_set set{};
        std::fill(std::begin(set.entry), std::end(set.entry),
                  sw_flow_entry(tag(packet.bytes()) ^ 1u << bit, 0x5f, SW_FLOW_CONFIRMED, now()));
        write_flow_set(s, set);
        expect(packet, SW_REASON_STRAY_ACK, kWeb, "bit " + std::to_string(bit));
    }
    sw_flow_set none{};
    std::fill(std::begin(none.entry), std::end(none.entry),
              sw_flow_entry(tag(packet.bytes()), 0x5f, SW_FLOW_NONE, now()));
    write_flow_set(s, none);
    expect(packet, SW_REASON_STRAY_ACK, kWeb, "state NONE");
}

TEST_F(FlowTableTest, AFullSetLosesItsOldest) {
    for (const bool v6 : {false, true}) {
        const Bytes ack = good_ack(v6);
        const Segment s = dissect(ack);
        for (unsigned oldest = 0; oldest < SW_FLOW_WAYS; ++oldest) {
            sw_flow_set before{};
            for (unsigned i = 0; i < SW_FLOW_WAYS; ++i)
                before.entry[i] = foreign(ack, i, seconds(i == oldest ? 100 : 10 + i));
            write_flow_set(s, before);
            expect(ack, SW_REASON_ACK_VALIDATED);
            const sw_flow_set after = read_flow_set(s);
            EXPECT_EQ(place_of(after, tag(ack)), oldest);
            for (unsigned i = 0; i < SW_FLOW_WAYS; ++i) {
                if (i == oldest) continue;
                EXPECT_EQ(after.entry[i], before.entry[i]) << "way " << i << " was not the oldest";
            }
            expect(ack, SW_REASON_ACK_FOLLOWS, kWeb, "and is found there");
        }
    }
}

TEST_F(FlowTableTest, NobodyIsLostWhileThereIsRoom) {
    for (const bool v6 : {false, true}) {
        const Bytes ack = good_ack(v6);
        const Segment s = dissect(ack);
        for (unsigned room = 0; room < SW_FLOW_WAYS; ++room) {
            sw_flow_set before{};
            for (unsigned i = 0; i < SW_FLOW_WAYS; ++i)
                if (i != room) before.entry[i] = foreign(ack, i, seconds(10 + i));
            write_flow_set(s, before);
            expect(ack, SW_REASON_ACK_VALIDATED);
            EXPECT_EQ(place_of(read_flow_set(s), tag(ack)), room);
        }
    }
}

TEST_F(FlowTableTest, AConnectionHasOneEntry) {
    policy.config.grace_ticks = 1;
    store();
    for (const bool v6 : {false, true}) {
        const Bytes ack = good_ack(v6);
        const Segment s = dissect(ack);
        for (unsigned way = 0; way < SW_FLOW_WAYS; ++way) {
            // An earlier handshake whose delivery was lost, anywhere in the set.
            sw_flow_set before{};
            before.entry[way] = sw_flow_entry(tag(ack), 0x5f, SW_FLOW_HANDSHAKE, now() - seconds(3));
            write_flow_set(s, before);
            expect(ack, SW_REASON_ACK_REVALIDATED);
            EXPECT_EQ(count_flows(), 1u) << "way " << way;
            EXPECT_LE(sw_flow_age(flow_entry(s), now()), seconds(1));
            write_flow_set(s, {});
        }
    }
}

// What user space may leave behind counts as taken, but is nobody.
TEST_F(FlowTableTest, AStaleNoneIsReplacedOrLeft) {
    const Bytes ack = good_ack(false);
    const Segment s = dissect(ack);
    sw_flow_set stale{};
    std::fill(std::begin(stale.entry), std::end(stale.entry),
              sw_flow_entry(tag(ack), 0x5f, SW_FLOW_NONE, now() - seconds(5)));
    write_flow_set(s, stale);
    expect(ack, SW_REASON_ACK_VALIDATED);
    const sw_flow_set after = read_flow_set(s);
    EXPECT_EQ(std::count_if(std::begin(after.entry), std::end(after.entry),
                            [](std::uint64_t entry) { return sw_flow_state_of(entry) == SW_FLOW_HANDSHAKE; }),
              1);
    expect(ack, SW_REASON_ACK_FOLLOWS);
}

TEST_F(FlowTableTest, AUsedEntryIsRenewedOnceASecond) {
    const Packet packet = tcp4({.ack = true});
    const Segment s = dissect(packet.bytes());
    sw_flow_set set{};
    set.entry[5] = sw_flow_entry(tag(packet.bytes()), 0x5f, SW_FLOW_CONFIRMED, now() - seconds(1) / 2);
    write_flow_set(s, set);
    expect(packet, SW_REASON_FLOW_KNOWN);
    EXPECT_EQ(flow_entry(s), set.entry[5]) << "no store for every packet";
    set = {};
    set.entry[3] = sw_flow_entry(tag(packet.bytes()), 0x5f, SW_FLOW_CONFIRMED, now() - seconds(2));
    write_flow_set(s, set);
    expect(packet, SW_REASON_FLOW_KNOWN);
    EXPECT_LE(sw_flow_age(flow_entry(s), now()), seconds(1));
    EXPECT_EQ(sw_flow_options(flow_entry(s)), 0x5f);
    EXPECT_EQ(sw_flow_state_of(flow_entry(s)), SW_FLOW_CONFIRMED);
}

// The kernel forgot it: its client starts anew, and the old entry goes.
TEST_F(FlowTableTest, ASynOfAConnectionThatIsGoneEndsItsEntry) {
    for (const bool v6 : {false, true}) {
        const Tcp tcp{.source = 5100, .syn = true, .options = linux_syn_options()};
        const Bytes syn = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        const Segment s = dissect(syn);
        put_flow(s, SW_FLOW_CONFIRMED, 0);
        ASSERT_TRUE(flow_entry(s));
        answered(syn);
        EXPECT_FALSE(flow_entry(s));
    }
}

TEST_F(FlowTableTest, KnownConnectionsSurviveAPolicyReload) {
    for (const bool v6 : {false, true}) {
        const Packet packet = v6 ? tcp6({.ack = true}) : tcp4({.ack = true});
        put_flow(dissect(packet.bytes()), SW_FLOW_CONFIRMED, 0x5f);
        policy.config.generation ^= 1;
        policy.web().arm_syns = 17;
        store();
        expect(packet, SW_REASON_FLOW_KNOWN);
    }
    EXPECT_EQ(count_flows(), 2u);
}

TEST_F(FlowTableTest, EveryHandshakeIsCountedOnce) {
    // A set of eight may be full early; 64 sets hold 100 connections but for a few.
    for (unsigned i = 0; i < 100; ++i) {
        const Bytes ack = good_ack(i % 2, 6000 + i);
        expect(ack, SW_REASON_ACK_VALIDATED);
        EXPECT_TRUE(flow_entry(dissect(ack)));
    }
    EXPECT_GE(count_flows(), 95u);
    EXPECT_LE(count_flows(), 100u);
    // Many more than there is room for: bounded, and the latest is in.
    for (unsigned i = 0; i < 2000; ++i) {
        const Bytes ack = good_ack(i % 2, 7000 + i);
        ASSERT_EQ(send(ack).reason(), SW_REASON_ACK_VALIDATED);
        ASSERT_TRUE(flow_entry(dissect(ack)));
    }
    EXPECT_LE(count_flows(), std::size_t{SW_FLOW_WAYS} << kFlowShift);
}

TEST(FlowEntry, TellsWhatItWasMadeOf) {
    for (const std::uint32_t tag : {0u, 1u, 0x80000000u, 0xffffffffu})
        for (const unsigned options : {0u, 0x5fu, 0xffu})
            for (const auto state : {SW_FLOW_HANDSHAKE, SW_FLOW_CONFIRMED})
                for (const std::uint32_t tick : {0u, 1u, 0x3fffffu, 0x400000u, 0xfffffff0u}) {
                    const std::uint64_t entry = sw_flow_entry(tag, static_cast<__u8>(options), state, tick);
                    EXPECT_NE(entry, 0u) << "0 is a free place";
                    EXPECT_EQ(static_cast<std::uint32_t>(entry), tag);
                    EXPECT_EQ(sw_flow_options(entry), options);
                    EXPECT_EQ(sw_flow_state_of(entry), static_cast<unsigned>(state));
                    // Ages are right up to 2^22 ticks, across the wrap of either counter.
                    for (const std::uint32_t age : {0u, 1u, 1000u, 0x3fffffu})
                        EXPECT_EQ(sw_flow_age(entry, tick + age), age);
                    EXPECT_EQ(sw_flow_age(entry, tick + 0x400000), 0u) << "and wrap then";
                }
}

}  // namespace synward::bpf_test
