// SPDX-License-Identifier: GPL-2.0-or-later
// Source sets: exact addresses and prefixes, denied and allowed.
#include "fixture.h"

namespace synward::bpf_test {

class SourceTest : public BpfTest {
  protected:
    static constexpr unsigned kPort2 = kAutoPort;  // where somebody listens, too
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
    for (const auto where : {Policy::Exact::first_way, Policy::Exact::last_way, Policy::Exact::other_set}) {
        policy.exact = where;
        policy.gate_shift = where == Policy::Exact::other_set ? kGateShift : SW_GATE_BITS;
        store();
        expect_from("203.0.113.7", SW_REASON_SOURCE_DENIED);
        expect_from("203.0.113.8", SW_REASON_SOURCE_ALLOWED);
        expect_from("203.0.113.9", SW_REASON_SYN_ANSWERED);
        expect_from("2001:db8:9::7", SW_REASON_SOURCE_DENIED);
        expect_from("2001:db8:9::8", SW_REASON_SOURCE_ALLOWED);
        expect_from("2001:db8:9::9", SW_REASON_SYN_ANSWERED);
    }
}

// As many as the table holds at most: sets that are full, and both families in them.
TEST_F(SourceTest, ExactAddressesInFullSets) {
    for (std::uint8_t i = 0; i < 32; ++i) {
        const sw_fate fate = i % 2 ? SW_FATE_DENY : SW_FATE_ALLOW;
        policy.fates.push_back({{203, 0, 113, i}, 32, fate});
        Address v6 = address("2001:db8:9::");
        v6[i % 8 + 8] = static_cast<std::uint8_t>(i + 1);
        policy.fates.push_back({v6, 128, fate});
    }
    for (const auto where : {Policy::Exact::first_way, Policy::Exact::other_set}) {
        policy.exact = where;
        store();
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
}

// Two lists that contradict each other: the word says which is in force, whole.
TEST_F(SourceTest, OneGenerationIsInForce) {
    const Policy one = [&] {
        Policy p = policy;
        p.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY},
                   {address("198.18.0.0"), 15, SW_FATE_DENY},
                   {address("2001:db8:9::7"), 128, SW_FATE_ALLOW},
                   {address("2001:db8:a::"), 48, SW_FATE_ALLOW}};
        return p;
    }();
    Policy other = policy;
    other.source_generation = 1;
    other.fates = {{address("203.0.113.7"), 32, SW_FATE_ALLOW},
                   {address("203.0.113.8"), 32, SW_FATE_DENY},
                   {address("2001:db8:a::"), 48, SW_FATE_DENY},
                   {address("2001:db8:b::"), 48, SW_FATE_DENY}};
    one.store(object());
    sw_config first = object().read<sw_config>("sw_config", 0), second = first;
    other.store_sources(object(), second);
    for (int turn = 0; turn < 2; ++turn) {
        policy.fates = one.fates;
        object().write("sw_config", std::uint32_t{0}, first);
        expect_from("203.0.113.7", SW_REASON_SOURCE_DENIED);
        expect_from("203.0.113.8", SW_REASON_SYN_ANSWERED);
        expect_from("198.19.1.2", SW_REASON_SOURCE_DENIED);
        expect_from("2001:db8:9::7", SW_REASON_SOURCE_ALLOWED);
        expect_from("2001:db8:a::1", SW_REASON_SOURCE_ALLOWED);
        expect_from("2001:db8:b::1", SW_REASON_SYN_ANSWERED);
        policy.fates = other.fates;
        object().write("sw_config", std::uint32_t{0}, second);
        expect_from("203.0.113.7", SW_REASON_SOURCE_ALLOWED);
        expect_from("203.0.113.8", SW_REASON_SOURCE_DENIED);
        expect_from("198.19.1.2", SW_REASON_SYN_ANSWERED);
        expect_from("2001:db8:9::7", SW_REASON_SYN_ANSWERED);
        expect_from("2001:db8:a::1", SW_REASON_SOURCE_DENIED);
        expect_from("2001:db8:b::1", SW_REASON_SOURCE_DENIED);
    }
}

// A prefix of every length, told apart from its neighbour by the last bit of it.
TEST_F(SourceTest, PrefixesOfEveryLength) {
    const auto check = [&](const Address& base) {
        for (unsigned length = 1; length < 8 * base.size(); ++length) {
            Address inside = base, outside = base;
            for (unsigned bit = length; bit < 8 * base.size(); ++bit)
                inside[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
            policy.fates = {{inside, length, SW_FATE_DENY}};
            store();
            outside[(length - 1) / 8] ^= static_cast<std::uint8_t>(0x80 >> (length - 1) % 8);
            for (const auto& [from, fate] :
                 {std::pair(base, SW_REASON_SOURCE_DENIED), {outside, SW_REASON_COUNT}}) {
                const Tcp syn{.destination = kWebPort, .syn = true};
                const Bytes frame = (from.size() == 4 ? Ethernet{} / Packet(Ipv4{.source = from}) / syn
                                                      : Ethernet{} / Packet(Ipv6{.source = from}) / syn)
                                        .bytes();
                const Outcome seen = send(frame);
                if (fate == SW_REASON_COUNT)
                    EXPECT_NE(seen.reason(), SW_REASON_SOURCE_DENIED) << "outside of /" << length;
                else
                    EXPECT_EQ(seen.reason(), fate) << "inside of /" << length;
            }
        }
    };
    check(address("203.0.113.7"));
    check(address("2001:db8:9:1234:5678:9abc:def0:7"));
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

// An exception within a prefix is as if nothing were said of it.
TEST_F(SourceTest, AnExceptionIsCheckedAsEverybodyIs) {
    policy.fates = {
        {address("203.0.113.0"), 24, SW_FATE_DENY},       {address("203.0.113.7"), 32, SW_FATE_CHECK},
        {address("203.0.113.64"), 26, SW_FATE_CHECK},     {address("203.0.113.65"), 32, SW_FATE_DENY},
        {address("2001:db8:9::"), 48, SW_FATE_ALLOW},     {address("2001:db8:9::7"), 128, SW_FATE_CHECK},
        {address("2001:db8:9:8000::"), 49, SW_FATE_CHECK}};
    store();
    expect_from("203.0.113.6", SW_REASON_SOURCE_DENIED);
    expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
    expect_from("203.0.113.66", SW_REASON_SYN_ANSWERED);
    expect_from("203.0.113.65", SW_REASON_SOURCE_DENIED);
    expect_from("2001:db8:9::6", SW_REASON_SOURCE_ALLOWED);
    expect_from("2001:db8:9::7", SW_REASON_SYN_ANSWERED);
    expect_from("2001:db8:9:8000::1", SW_REASON_SYN_ANSWERED);
}

// Entries for one port act there alone, and there before all others.
TEST_F(SourceTest, EntriesByPort) {
    policy.ports[kPort2] = kWeb;
    policy.fates = {{address("203.0.113.7"), 32, SW_FATE_DENY, kWebPort},
                    {address("203.0.113.8"), 32, SW_FATE_DENY},
                    {address("203.0.113.8"), 32, SW_FATE_CHECK, kWebPort},
                    {address("198.18.0.0"), 15, SW_FATE_DENY, kPort2},
                    {address("198.18.7.0"), 24, SW_FATE_ALLOW, kPort2},
                    {address("198.18.7.7"), 32, SW_FATE_CHECK, kPort2},
                    {address("198.18.7.8"), 32, SW_FATE_ALLOW},
                    {address("198.18.8.8"), 32, SW_FATE_ALLOW},
                    {address("2001:db8:9::7"), 128, SW_FATE_DENY, kWebPort},
                    {address("2001:db8:a::"), 48, SW_FATE_DENY},
                    {address("2001:db8:a::"), 48, SW_FATE_ALLOW, kPort2},
                    {address("2001:db8:a:b::"), 64, SW_FATE_CHECK, kWebPort},
                    {address("2001:db8:a:b::7"), 128, SW_FATE_DENY, kPort2}};
    for (const auto where : {Policy::Exact::first_way, Policy::Exact::last_way, Policy::Exact::other_set}) {
        policy.exact = where;
        policy.gate_shift = where == Policy::Exact::other_set ? kGateShift : SW_GATE_BITS;
        policy.source_generation ^= 1;
        store();
        const auto expect_at = [&](const char* source, sw_reason web, sw_reason other) {
            expect_from(source, web);
            expect_from(source, other, kWeb, kPort2);
        };
        expect_at("203.0.113.7", SW_REASON_SOURCE_DENIED, SW_REASON_SYN_ANSWERED);
        expect_at("203.0.113.8", SW_REASON_SYN_ANSWERED, SW_REASON_SOURCE_DENIED);
        expect_at("203.0.113.9", SW_REASON_SYN_ANSWERED, SW_REASON_SYN_ANSWERED);
        expect_at("198.18.1.1", SW_REASON_SYN_ANSWERED, SW_REASON_SOURCE_DENIED);
        expect_at("198.18.7.1", SW_REASON_SYN_ANSWERED, SW_REASON_SOURCE_ALLOWED);
        expect_at("198.18.7.7", SW_REASON_SYN_ANSWERED, SW_REASON_SYN_ANSWERED);
        expect_at("198.18.7.8", SW_REASON_SOURCE_ALLOWED, SW_REASON_SOURCE_ALLOWED);
        // A prefix for the port outweighs an address for every port.
        expect_at("198.18.8.8", SW_REASON_SOURCE_ALLOWED, SW_REASON_SOURCE_DENIED);
        expect_at("2001:db8:9::7", SW_REASON_SOURCE_DENIED, SW_REASON_SYN_ANSWERED);
        expect_at("2001:db8:a::1", SW_REASON_SOURCE_DENIED, SW_REASON_SOURCE_ALLOWED);
        expect_at("2001:db8:a:b::1", SW_REASON_SYN_ANSWERED, SW_REASON_SOURCE_ALLOWED);
        expect_at("2001:db8:a:b::7", SW_REASON_SYN_ANSWERED, SW_REASON_SOURCE_DENIED);
        expect_at("2001:db8:b::1", SW_REASON_SYN_ANSWERED, SW_REASON_SYN_ANSWERED);
    }
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
    for (const unsigned shift : {unsigned{SW_GATE_BITS}, kGateShift}) {
        policy.gate_shift = shift;
        store();
        object().write("gates", std::uint32_t{0}, sw_gate{});
        for (std::uint32_t i = 0; i < 2u << kSourceShift; ++i) object().write("sw_gate", i, std::uint64_t{0});
        expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
        expect_from("198.18.9.9", SW_REASON_SYN_ANSWERED);
    }
    store();
    sw_config config = object().read<sw_config>("sw_config", 0);
    config.sources = 0;
    object().write("sw_config", std::uint32_t{0}, config);
    expect_from("203.0.113.7", SW_REASON_SYN_ANSWERED);
}

}  // namespace synward::bpf_test
