// SPDX-License-Identifier: GPL-2.0-or-later
// Source sets: exact addresses and prefixes, denied and allowed.
#include "fixture.h"

namespace synward::bpf_test {

class SourceTest : public BpfTest {
  protected:
    void expect_from(const char* source, sw_reason reason, unsigned service = kWeb,
                     unsigned port = kWebPort) {
        const Address from = address(source);
        for (const Tcp& tcp : {Tcp{.destination = port, .syn = true, .options = linux_syn_options()},
                               Tcp{.destination = port, .ack = true}}) {
            const bool answered = reason == SW_REASON_SYN_ANSWERED;
            const sw_reason due = answered && tcp.ack ? SW_REASON_STRAY_ACK : reason;
            if (from.size() == 4)
                expect(Ethernet{} / Packet(Ipv4{.source = from}) / tcp, due, service, source);
            else
                expect(Ethernet{} / Packet(Ipv6{.source = from}) / tcp, due, service, source);
        }
    }
};

TEST_F(SourceTest, ExactAddresses) {
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY},
                    {address("203.0.113.8"), 32, SW_FATE_ALLOW},
                    {address("2001:db8:9::7"), 128, SW_FATE_DENY},
                    {address("2001:db8:9::8"), 128, SW_FATE_ALLOW}};
    for (const auto where : {Policy::Exact::first_way, Policy::Exact::last_way, Policy::Exact::overflow}) {
        policy.exact = where;
        store();
        expect_from("203.0.113.7", SW_REASON_SOURCE_DENIED);
        expect_from("203.0.113.8", SW_REASON_SOURCE_ALLOWED);
        expect_from("203.0.113.9", SW_REASON_SYN_ANSWERED);
        expect_from("2001:db8:9::7", SW_REASON_SOURCE_DENIED);
        expect_from("2001:db8:9::8", SW_REASON_SOURCE_ALLOWED);
        expect_from("2001:db8:9::9", SW_REASON_SYN_ANSWERED);
    }
}

// Twice as many as the table has ways: full sets, and both families in them.
TEST_F(SourceTest, ExactAddressesBeyondTheTable) {
    for (std::uint8_t i = 0; i < 128; ++i) {
        const sw_fate fate = i % 2 ? SW_FATE_DENY : SW_FATE_ALLOW;
        policy.fates.push_back({{203, 0, 113, i}, 32, fate});
        Address v6 = address("2001:db8:9::");
        v6[i % 8 + 8] = static_cast<std::uint8_t>(i + 1);
        policy.fates.push_back({v6, 128, fate});
    }
    store();
    unsigned overflowed = 0;
    for (std::uint32_t i = 0; i < 1u << kSourceShift; ++i)
        overflowed += (object().read<sw_source_set>("sw_exact", i).entry[0] & SW_SOURCE_OVERFLOW) != 0;
    EXPECT_GT(overflowed, 0u);
    for (const Fate& fate : policy.fates) {
        const Tcp syn{.destination = kWebPort, .syn = true};
        const auto due = fate.fate == SW_FATE_DENY ? SW_REASON_SOURCE_DENIED : SW_REASON_SOURCE_ALLOWED;
        if (fate.bits == 32)
            expect(Ethernet{} / Packet(Ipv4{.source = fate.address}) / syn, due);
        else
            expect(Ethernet{} / Packet(Ipv6{.source = fate.address}) / syn, due);
    }
    expect_from("203.0.113.128", SW_REASON_SYN_ANSWERED);
    expect_from("2001:db8:9::ffff", SW_REASON_SYN_ANSWERED);
}

// The hash maps are what a denied source would pay for: only full sets ask them.
TEST_F(SourceTest, TheTableAnswersAlone) {
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY},
                    {address("2001:db8:9::7"), 128, SW_FATE_DENY}};
    store();
    object().clear("sw_exact4");
    object().clear("sw_exact6");
    expect_from("203.0.113.7", SW_REASON_SOURCE_DENIED);
    expect_from("2001:db8:9::7", SW_REASON_SOURCE_DENIED);
    store();
    for (std::uint32_t i = 0; i < 1u << kSourceShift; ++i) object().write("sw_exact", i, sw_source_set{});
    expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
    expect_from("2001:db8:9::7", SW_REASON_SYN_ANSWERED);
}

// The same tag of the other family is another source; so is an entry without a fate.
TEST_F(SourceTest, AnEntryIsOfOneFamily) {
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY},
                    {address("2001:db8:9::7"), 128, SW_FATE_DENY}};
    for (const __u64 change : std::initializer_list<__u64>{SW_SOURCE_IPV6, SW_FATE_DENY}) {
        store();
        for (std::uint32_t i = 0; i < 1u << kSourceShift; ++i) {
            auto set = object().read<sw_source_set>("sw_exact", i);
            for (auto& entry : set.entry)
                if (entry) entry ^= change;
            object().write("sw_exact", i, set);
        }
        expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
        expect_from("2001:db8:9::7", SW_REASON_SYN_ANSWERED);
    }
}

TEST_F(SourceTest, PrefixesTheLongestWins) {
    policy.fates = {
        {address("203.0.113.0"), 24, SW_FATE_DENY},        {address("203.0.113.128"), 25, SW_FATE_ALLOW},
        {address("198.0.0.0"), 9, SW_FATE_DENY},           {address("2001:db8:9::"), 48, SW_FATE_DENY},
        {address("2001:db8:9:8000::"), 49, SW_FATE_ALLOW}, {address("2001:db8:a::"), 47, SW_FATE_DENY}};
    store();
    expect_from("203.0.113.1", SW_REASON_SOURCE_DENIED);
    expect_from("203.0.113.129", SW_REASON_SOURCE_ALLOWED);
    expect_from("203.0.114.1", SW_REASON_SYN_ANSWERED);
    expect_from("203.0.112.255", SW_REASON_SYN_ANSWERED);
    expect_from("198.18.7.9", SW_REASON_SOURCE_DENIED);
    expect_from("198.127.255.255", SW_REASON_SOURCE_DENIED);
    expect_from("198.128.0.0", SW_REASON_SYN_ANSWERED);
    expect_from("2001:db8:9::1", SW_REASON_SOURCE_DENIED);
    expect_from("2001:db8:9:ffff::1", SW_REASON_SOURCE_ALLOWED);
    expect_from("2001:db8:b::1", SW_REASON_SOURCE_DENIED);
    expect_from("2001:db8:c::1", SW_REASON_SYN_ANSWERED);
}

TEST_F(SourceTest, AnExactEntryOutweighsItsPrefix) {
    policy.fates = {{address("203.0.113.0"), 24, SW_FATE_DENY},
                    {address("203.0.113.7"), 32, SW_FATE_ALLOW},
                    {address("2001:db8:9::"), 48, SW_FATE_DENY},
                    {address("2001:db8:9::7"), 128, SW_FATE_ALLOW}};
    store();
    expect_from("203.0.113.7", SW_REASON_SOURCE_ALLOWED);
    expect_from("203.0.113.6", SW_REASON_SOURCE_DENIED);
    expect_from("2001:db8:9::7", SW_REASON_SOURCE_ALLOWED);
    expect_from("2001:db8:9::6", SW_REASON_SOURCE_DENIED);
}

TEST_F(SourceTest, CountsForEveryServiceThatIsNotOff) {
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY}, {address("2001:db8:9::"), 48, SW_FATE_DENY}};
    store();
    for (const char* source : {"203.0.113.7", "2001:db8:9::1"}) {
        expect_from(source, SW_REASON_SOURCE_DENIED, kAuto, kAutoPort);
        expect_from(source, SW_REASON_SOURCE_DENIED, kMonitor, kMonitorPort);
        expect_from(source, SW_REASON_SERVICE_OFF, kOff, kOffPort);
        expect_from(source, SW_REASON_NO_SERVICE, kNone, kFreePort);
    }
}

// What an administrator decided about a source outweighs the shape of its packets.
TEST_F(SourceTest, ComesBeforeTheShape) {
    policy.fates = {{kClient4, 32, SW_FATE_DENY}, {kClient6, 128, SW_FATE_ALLOW}};
    store();
    expect(tcp4({.fin = true, .syn = true}), SW_REASON_SOURCE_DENIED);
    expect(tcp6({.fin = true, .syn = true}), SW_REASON_SOURCE_ALLOWED);
    expect(tcp4({.syn = true, .data_offset = 4}), SW_REASON_SOURCE_DENIED);
    expect(tcp6({.syn = true, .data_offset = 15}), SW_REASON_SOURCE_ALLOWED);
    expect(Ethernet{} / Packet(Ipv4{.more_fragments = true}) / Tcp{.syn = true}, SW_REASON_SOURCE_DENIED);
}

TEST_F(SourceTest, NothingIsLookedUpWhereTheGateIsShut) {
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY}, {address("198.18.0.0"), 15, SW_FATE_DENY}};
    store();
    object().write("sw_gate", std::uint32_t{0}, sw_gate{});
    expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
    expect_from("198.18.9.9", SW_REASON_SYN_ANSWERED);
    store();
    sw_config config = object().read<sw_config>("sw_config", 0);
    config.fate_sets = 0;
    object().write("sw_config", std::uint32_t{0}, config);
    expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
}

}  // namespace synward::bpf_test
