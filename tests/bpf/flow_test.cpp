// SPDX-License-Identifier: GPL-2.0-or-later
// Connections that are known: by the flow table, or by the kernel.
#include <bpf/bpf.h>

#include <bit>
#include <cstdlib>

#include "cookie.h"
#include "fixture.h"
#include "poll.h"

namespace synward::bpf_test {

class FlowTest : public BpfTest {
  protected:
    void untrust() {
        policy.states[kWeb].armings = 1;
        store();
    }
    static void put_flow(const Packet& packet, sw_flow_state state) {
        bpf_test::put_flow(dissect(packet.bytes()), state, 0x5f);
    }
    static unsigned state_of(const Packet& packet) {
        return sw_flow_state_of(flow_entry(dissect(packet.bytes())));
    }
    static int bits_set(unsigned generation) {
        const auto filter = std::make_unique<sw_filter>(object().read<sw_filter>("sw_filter", 0));
        int result = 0;
        for (const auto& word : filter->bits) result += std::popcount(word[generation]);
        return result;
    }
    static Packet from_neighbour(bool v6, const Tcp& tcp) {
        if (v6) return Ethernet{} / Packet(Ipv6{.source = kNeighbour6}) / tcp;
        return Ethernet{} / Packet(Ipv4{.source = kNeighbour4}) / tcp;
    }
};

const std::vector<Tcp> kSegments = {{.ack = true}, {.psh = true, .ack = true}, {.fin = true, .ack = true},
                                    {.rst = true}, {.rst = true, .ack = true}, {.fin = true}};

TEST_F(FlowTest, AConfirmedFlowPassesWhateverItSends) {
    fill_filter(Filter::first_generation);
    for (const Tcp& tcp : kSegments) {
        for (const Packet& packet : {tcp4(tcp), tcp6(tcp)}) {
            put_flow(packet, SW_FLOW_CONFIRMED);
            expect(packet, SW_REASON_FLOW_KNOWN);
            expect(packet / Payload{Bytes(700)}, SW_REASON_FLOW_KNOWN);
        }
    }
}

TEST_F(FlowTest, OnlyItsOwnTuple) {
    fill_filter(Filter::first_generation);
    const Tcp tcp{.ack = true};
    put_flow(tcp4(tcp), SW_FLOW_CONFIRMED);
    put_flow(tcp6(tcp), SW_FLOW_CONFIRMED);
    for (const bool v6 : {false, true}) {
        const Bytes good = (v6 ? tcp6(tcp) : tcp4(tcp)).bytes();
        for (const std::size_t at :
             v6 ? std::vector<std::size_t>{24, 37, 55} : std::vector<std::size_t>{27, 29, 35}) {
            Bytes other = good;
            other[at] ^= 1;
            expect(other, SW_REASON_STRAY_ACK, kWeb, "byte " + std::to_string(at));
        }
        expect(good, SW_REASON_FLOW_KNOWN, kWeb);
    }
}

TEST_F(FlowTest, TheFilterGuardsTheTable) {
    for (const Packet& packet : {tcp4({.ack = true}), tcp6({.ack = true})}) {
        put_flow(packet, SW_FLOW_CONFIRMED);
        fill_filter(Filter::empty);
        expect(packet, SW_REASON_STRAY_ACK, kWeb, "in neither generation");
        for (const auto generation : {Filter::first_generation, Filter::second_generation}) {
            for (const std::uint8_t newest : {0, 1}) {
                policy.config.stamp = newest;
                store();
                fill_filter(generation);
                expect(packet, SW_REASON_FLOW_KNOWN, kWeb, "in one of two generations");
            }
        }
    }
    untrust();
    fill_filter(Filter::empty);
    expect(tcp4({.ack = true}), SW_REASON_FLOW_KNOWN, kWeb, "a filter that is not trusted proves nothing");
    expect(tcp6({.ack = true}), SW_REASON_FLOW_KNOWN, kWeb, "a filter that is not trusted proves nothing");
}

// A generation of the filter that is smaller uses its first words only, whatever the other's size.
TEST_F(FlowTest, TheGenerationsOfTheFilterHaveSizesOfTheirOwn) {
    constexpr std::size_t words = (1u << SW_FILTER_SHIFT) / 64;
    for (const Packet& packet : {tcp4({.ack = true}), tcp6({.ack = true})}) {
        put_flow(packet, SW_FLOW_CONFIRMED);
        for (const unsigned generation : {0u, 1u}) {
            for (const unsigned less : {0u, 1u, 4u}) {
                for (const unsigned other : {0u, 3u}) {
                    __u8 stamp = sw_stamp_renewed(0, generation ^ 1, other);
                    stamp = sw_stamp_renewed(stamp, generation, less);
                    EXPECT_EQ(sw_stamp_generation(stamp), generation);
                    policy.config.stamp = stamp;
                    store();
                    auto filter = std::make_unique<sw_filter>();
                    for (std::size_t i = words >> less; i < words; i++) filter->bits[i][generation] = ~0ull;
                    for (std::size_t i = words >> other; i < words; i++) filter->bits[i][!generation] = ~0ull;
                    object().write("sw_filter", std::uint32_t{0}, *filter);
                    expect(packet, SW_REASON_STRAY_ACK, kWeb, "words that are not used");
                    for (std::size_t i = 0; i < words >> less; i++) filter->bits[i][generation] = ~0ull;
                    object().write("sw_filter", std::uint32_t{0}, *filter);
                    expect(packet, SW_REASON_FLOW_KNOWN, kWeb, "words that are");
                }
            }
        }
    }
}

TEST_F(FlowTest, ConnectionsAreLearnedFromTheKernel) {
    untrust();
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        policy.ports[8091] = kWeb;
        store();
        for (const Tcp& segment : kSegments) {
            const Connection connection = connect_to(listener, v6);
            Tcp tcp = segment;
            tcp.source = connection.client.port();
            tcp.destination = 8091;
            const Packet packet = from_neighbour(v6, tcp);
            expect(packet, SW_REASON_FLOW_LEARNED);
            EXPECT_EQ(state_of(packet), SW_FLOW_CONFIRMED);
            expect(packet, SW_REASON_FLOW_KNOWN);
        }
    }
}

// The walk over the sockets at arming time makes the filter believable at once.
TEST_F(FlowTest, TheWalkStampsEstablishedConnections) {
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        policy.ports[8091] = kWeb;
        store();
        const Connection connection = connect_to(listener, v6);
        const Packet packet =
            from_neighbour(v6, {.source = connection.client.port(), .destination = 8091, .ack = true});
        fill_filter(Filter::empty);
        expect(packet, SW_REASON_STRAY_ACK, kWeb, "an empty filter that is believed");
        object().walk();
        expect(packet, SW_REASON_FLOW_LEARNED);
        expect(packet, SW_REASON_FLOW_KNOWN);
    }
    EXPECT_GT(bits_set(policy.config.stamp), 0);
    EXPECT_LT(bits_set(policy.config.stamp), 64) << "more than the sockets";
    EXPECT_EQ(bits_set(1 - policy.config.stamp), 0);
}

// Renewal names one generation after the other; what is new goes into the one named.
TEST_F(FlowTest, NewConnectionsGoIntoTheNamedGeneration) {
    for (const std::uint8_t stamp : {0x01, 0x00, 0x41, 0x08, 0x49}) {  // sizes, too
        const unsigned generation = sw_stamp_generation(stamp);
        policy.config.stamp = stamp;
        store();
        fill_filter(Filter::empty);
        Tcp tcp{.source = 5000u + stamp, .ack = true};
        const Segment s = dissect(tcp4(tcp).bytes());
        tcp.ack_seq = bake(s, s.seq - 1, 0x5f, epoch_, policy.config.keyring).isn + 1;
        expect(tcp4(tcp), SW_REASON_ACK_VALIDATED);
        EXPECT_EQ(bits_set(generation), 1);
        EXPECT_EQ(bits_set(1 - generation), 0);
        expect(tcp4(tcp), SW_REASON_ACK_FOLLOWS);
    }
}

// What was learned is stamped: it stays known when the filter is believed again.
TEST_F(FlowTest, WhatIsLearnedIsStamped) {
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        policy.ports[8091] = kWeb;
        policy.states[kWeb].armings = 1;
        policy.states[kWeb].trusted = 0;
        store();
        const Connection connection = connect_to(listener, v6);
        const Packet packet =
            from_neighbour(v6, {.source = connection.client.port(), .destination = 8091, .ack = true});
        expect(packet, SW_REASON_FLOW_LEARNED);
        policy.states[kWeb].trusted = 1;
        store();
        expect(packet, SW_REASON_FLOW_KNOWN);
    }
}

TEST_F(FlowTest, AListenerAloneIsNoConnection) {
    untrust();
    for (const Tcp& tcp : kSegments) {
        expect_judged(tcp4(tcp).bytes(), "the kernel was asked and knows nobody");
        expect_judged(tcp6(tcp).bytes(), "the kernel was asked and knows nobody");
    }
}

TEST_F(FlowTest, TimeWaitIsAConnectionToo) {
    untrust();
    policy.ports[8091] = kWeb;
    store();
    const Socket listener = listen_on(kHost4, 8091);
    Connection connection = connect_to(listener, false);
    const Packet packet = from_neighbour(
        false, {.source = connection.client.port(), .destination = 8091, .fin = true, .ack = true});
    connection.server = Socket();
    connection.client = Socket();
    expect(packet, SW_REASON_FLOW_LEARNED, kWeb, "a retransmitted FIN must reach TIME_WAIT");
}

// The handshake's flow is confirmed as soon as its socket is seen.
TEST_F(FlowTest, AValidatedHandshakeIsConfirmedByItsSocket) {
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        policy.ports[8091] = kWeb;
        policy.config.grace_ticks = 3600 * policy.config.hz;
        store();
        const Connection connection = connect_to(listener, v6);
        Tcp tcp{.source = connection.client.port(), .destination = 8091, .ack = true};
        const Segment s = dissect(from_neighbour(v6, tcp).bytes());
        tcp.ack_seq = bake(s, s.seq - 1, 0x5f, epoch_, policy.config.keyring).isn + 1;
        const Packet ack = from_neighbour(v6, tcp);
        expect(ack, SW_REASON_ACK_VALIDATED);
        EXPECT_EQ(state_of(ack), SW_FLOW_HANDSHAKE);
        policy.config.grace_ticks = 1;
        store();
        Outcome last;
        ASSERT_TRUE(eventually([&] { return (last = send(ack.bytes())).reason() != SW_REASON_ACK_FOLLOWS; }));
        compare(ack.bytes(), last, oracle().outcome(ack.bytes(), SW_REASON_FLOW_KNOWN, kWeb),
                "socket is there");
        EXPECT_EQ(state_of(ack), SW_FLOW_CONFIRMED);
        expect(ack, SW_REASON_FLOW_KNOWN);
    }
}

// A gateway holds no sockets: conntrack knows its connections.
class GatewayTest : public FlowTest {
  protected:
    GatewayTest() {
        // Conntrack works in a namespace only while a rule asks for it.
        ready_ = !std::system(
            "nft 'table inet synward_test { chain c { type filter hook input priority 0; "
            "ct state established accept; }; }'");
        policy.config.flags |= SW_FLAG_GATEWAY;
        policy.services[kWeb].delivery = SW_DELIVERY_SYNPROXY;
        policy.ports[8091] = kWeb;
        policy.states[kWeb].armings = 1;  // the filter is not to be believed
        store();
    }
    ~GatewayTest() override {
        if (ready_ && std::system("nft delete table inet synward_test")) ADD_FAILURE() << "nft left a table";
    }
    bool ready_;
};

TEST_F(GatewayTest, ConnectionsAreLearnedFromConntrack) {
    ASSERT_TRUE(ready_) << "nft could not add a rule that needs conntrack";
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        for (const Tcp& segment : kSegments) {
            const Connection connection = connect_to(listener, v6);
            Tcp tcp = segment;
            tcp.source = connection.client.port();
            tcp.destination = 8091;
            const Packet packet = from_neighbour(v6, tcp);
            expect(packet, SW_REASON_FLOW_LEARNED);
            EXPECT_EQ(state_of(packet), SW_FLOW_CONFIRMED);
            expect(packet, SW_REASON_FLOW_KNOWN);
            tcp.source ^= 0x4000;
            const Packet stranger = from_neighbour(v6, tcp);
            expect_judged(stranger.bytes(), "a tuple that conntrack does not know");
        }
    }
}

// An allowed source's entry may end before its connections do.
TEST_F(FlowTest, ConnectionsOutliveTheEntryThatAllowedThem) {
    const std::vector<Fate> allow = {{kNeighbour4, 32, SW_FATE_ALLOW}, {kNeighbour6, 128, SW_FATE_ALLOW}};
    policy.services[kAuto].hold_ticks = 3600 * policy.config.hz;
    policy.states[kAuto].armed = 1;
    policy.states[kAuto].armed_at = static_cast<std::uint32_t>(ticks());
    for (const unsigned service : {kWeb, kAuto}) {
        for (const bool v6 : {false, true}) {
            clear_flows();
            fill_filter(Filter::empty);
            policy.ports[8091] = service;
            policy.fates = allow;
            store();
            const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
            const Connection connection = connect_to(listener, v6);
            Tcp tcp{.source = connection.client.port(), .destination = 8091, .ack = true};
            expect(from_neighbour(v6, tcp), SW_REASON_SOURCE_ALLOWED, service);
            EXPECT_EQ(bits_set(0) + bits_set(1), 0) << "only a SYN begins a connection";
            tcp.ack = false;
            tcp.syn = true;
            expect(from_neighbour(v6, tcp), SW_REASON_SOURCE_ALLOWED, service);
            policy.fates.clear();
            store();
            tcp.syn = false;
            tcp.ack = true;
            expect(from_neighbour(v6, tcp), SW_REASON_FLOW_LEARNED, service);
        }
    }
}

// As long as nothing is dropped, nothing needs to be known.
TEST_F(FlowTest, AnAllowedSynOfAnIdleServiceStampsNothing) {
    policy.fates = {{kClient4, 32, SW_FATE_ALLOW}};
    store();
    for (const unsigned port : {kAutoPort, kMonitorPort})
        expect(tcp4({.destination = port, .syn = true}), SW_REASON_SOURCE_ALLOWED,
               port == kAutoPort ? kAuto : kMonitor);
    EXPECT_EQ(bits_set(0) + bits_set(1), 0);
}

// A gateway has sockets, too.
TEST_F(FlowTest, AGatewaysOwnConnectionsAreSockets) {
    policy.config.flags |= SW_FLAG_GATEWAY;
    policy.ports[8091] = kWeb;
    policy.states[kWeb].armings = 1;
    store();
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, 8091);
        const Connection connection = connect_to(listener, v6);
        const Tcp tcp{.source = connection.client.port(), .destination = 8091, .ack = true};
        expect(from_neighbour(v6, tcp), SW_REASON_FLOW_LEARNED);
        expect(from_neighbour(v6, tcp), SW_REASON_FLOW_KNOWN);
    }
}

// An attacker's packets leave no trace.
TEST_F(FlowTest, SynsAndStraysAddNothing) {
    policy.ports[8091] = kWeb;
    store();
    for (unsigned i = 0; i < 200; ++i) {
        expect(tcp4({.source = 1000 + i, .destination = 8091, .syn = true}), SW_REASON_SYN_NO_LISTENER);
        send(tcp4({.source = 1000 + i, .syn = true}).bytes());
        send(tcp6({.source = 1000 + i, .seq = i, .ack_seq = i, .ack = true}).bytes());
        send(tcp4({.source = 1000 + i, .rst = true}).bytes());
    }
    EXPECT_EQ(count_flows(), 0u);
    EXPECT_EQ(bits_set(0) + bits_set(1), 0);
}

}  // namespace synward::bpf_test
