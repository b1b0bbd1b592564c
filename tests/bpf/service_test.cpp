// SPDX-License-Identifier: GPL-2.0-or-later
// From the port to the service, and what every service asks of a packet first.
#include "fixture.h"

namespace synward::bpf_test {

class ServiceTest : public BpfTest {
  protected:
    static Packet syn_to(unsigned port, bool v6 = false) {
        const Tcp tcp{.destination = port, .syn = true, .options = linux_syn_options()};
        return v6 ? tcp6(tcp) : tcp4(tcp);
    }
};

TEST_F(ServiceTest, OtherPortsPass) {
    for (const bool v6 : {false, true}) {
        for (const unsigned port : {0u, 1u, 79u, 443u, kFreePort, 65535u})
            expect(syn_to(port, v6), SW_REASON_NO_SERVICE, kNone);
    }
    for (const unsigned flags : {0u, 3u, 6u, 63u}) {
        const Tcp odd{
            .destination = kFreePort, .fin = !!(flags & 1), .syn = !!(flags & 2), .rst = !!(flags & 4)};
        expect(tcp4(odd), SW_REASON_NO_SERVICE, kNone, "odd flags are none of our business");
    }
}

TEST_F(ServiceTest, EveryPortCanBeProtected) {
    for (const unsigned port : {0u, 1u, 32768u, 65535u}) policy.ports[port] = kWeb;
    store();
    for (const unsigned port : {1u, 32768u, 65535u}) {
        const Socket listener4 = listen_on(kHost4, port), listener6 = listen_on(kHost6, port);
        answered(syn_to(port).bytes());
        answered(syn_to(port, true).bytes());
    }
}

TEST_F(ServiceTest, NoPolicyPassesEverything) {
    policy.config.abi = 0;
    store();
    expect(syn_to(kWebPort), SW_REASON_NO_POLICY, kNone);
    expect(Ethernet{.type = 0x0806} / Packet(Payload{Bytes(28)}), SW_REASON_NO_POLICY, kNone);
}

TEST_F(ServiceTest, OffPasses) {
    expect(syn_to(kOffPort), SW_REASON_SERVICE_OFF, kOff);
    expect(syn_to(kOffPort, true), SW_REASON_SERVICE_OFF, kOff);
    expect(tcp4({.destination = kOffPort, .ack = true}), SW_REASON_SERVICE_OFF, kOff);
    expect(tcp4({.destination = kOffPort}), SW_REASON_SERVICE_OFF, kOff, "odd flags");
}

TEST_F(ServiceTest, IdlePassesEverythingBehindTheParse) {
    for (const bool v6 : {false, true}) {
        const auto packet = [&](Tcp tcp) {
            tcp.destination = kAutoPort;
            return v6 ? tcp6(tcp) : tcp4(tcp);
        };
        expect(packet({.syn = true}), SW_REASON_SERVICE_IDLE, kAuto);
        expect(packet({.ack = true}), SW_REASON_SERVICE_IDLE, kAuto);
        expect(packet({.rst = true}), SW_REASON_SERVICE_IDLE, kAuto);
        expect(packet({.fin = true, .syn = true}), SW_REASON_SERVICE_IDLE, kAuto, "odd flags");
        expect(packet({}), SW_REASON_SERVICE_IDLE, kAuto, "no flags");
    }
    const Tcp tcp{.destination = kAutoPort, .syn = true};
    expect(Ethernet{} / Packet(Ipv4{.source = address("127.0.0.1")}) / tcp, SW_REASON_SERVICE_IDLE, kAuto,
           "source that nobody can answer");
}

TEST_F(ServiceTest, AddressesChooseTheService) {
    answered(syn_to(kBoundPort).bytes(), kBound);
    answered(syn_to(kBoundPort, true).bytes(), kBound);
    const Tcp tcp{.destination = kBoundPort, .syn = true};
    expect(Ethernet{} / Packet(Ipv4{.destination = kNeighbour4}) / tcp, SW_REASON_NO_SERVICE, kNone);
    expect(Ethernet{} / Packet(Ipv6{.destination = kNeighbour6}) / tcp, SW_REASON_NO_SERVICE, kNone);
    // Two services on one port.
    policy.addresses[{kNeighbour4, kBoundPort}] = kOff;
    store();
    expect(Ethernet{} / Packet(Ipv4{.destination = kNeighbour4}) / tcp, SW_REASON_SERVICE_OFF, kOff);
    answered(syn_to(kBoundPort).bytes(), kBound);
}

TEST_F(ServiceTest, AGenerationIsSwitchedAsOne) {
    Policy next = policy;
    next.config.generation = 1;
    next.ports = {{kFreePort, kOff}, {kBoundPort, SW_PORT_BY_ADDRESS}};
    next.addresses = {{{kHost4, kBoundPort}, kOff}};
    next.store(object());
    policy = next;
    expect(syn_to(kWebPort), SW_REASON_NO_SERVICE, kNone, "port of the old generation");
    expect(syn_to(kFreePort), SW_REASON_SERVICE_OFF, kOff, "port of the new one");
    expect(syn_to(kBoundPort), SW_REASON_SERVICE_OFF, kOff, "address of the new one");
    expect(syn_to(kBoundPort, true), SW_REASON_NO_SERVICE, kNone, "address that is no more");
}

TEST_F(ServiceTest, FramesForOthersPass) {
    const Mac broadcast = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, multicast = {0x01, 0, 0x5e, 0, 0, 1};
    const Mac other = {0x02, 0x00, 0x00, 0x00, 0x00, 0x09};
    const auto to = [](const Mac& mac, unsigned port) {
        return Ethernet{.destination = mac} / Packet(Ipv4{}) / Tcp{.destination = port, .syn = true};
    };
    for (const Mac& mac : {broadcast, multicast, other}) {
        expect(to(mac, kWebPort), SW_REASON_NOT_OURS, kWeb);
        expect(to(mac, kFreePort), SW_REASON_NO_SERVICE, kNone, "unprotected traffic pays nothing");
        expect(to(mac, kOffPort), SW_REASON_SERVICE_OFF, kOff);
    }
    policy.config.flags &= ~static_cast<unsigned>(SW_FLAG_CHECK_MAC);
    store();
    expect(to(broadcast, kWebPort), SW_REASON_NOT_OURS, kWeb, "group address, without SW_FLAG_CHECK_MAC");
    answered(to(other, kWebPort).bytes());
    // Each byte of the address counts.
    policy.config.flags |= SW_FLAG_CHECK_MAC;
    store();
    for (std::size_t i = 0; i < 6; ++i) {
        Mac near = kHostMac;
        near[i] ^= 0x40;
        expect(to(near, kWebPort), SW_REASON_NOT_OURS, kWeb, "byte " + std::to_string(i));
    }
}

TEST_F(ServiceTest, FlagsThatNoConnectionUses) {
    for (unsigned bits = 0; bits < 256; ++bits) {
        const Tcp tcp{.fin = !!(bits & kFin),
                      .syn = !!(bits & kSyn),
                      .rst = !!(bits & kRst),
                      .psh = !!(bits & kPsh),
                      .ack = !!(bits & kAck),
                      .urg = !!(bits & kUrg),
                      .ece = !!(bits & kEce),
                      .cwr = !!(bits & kCwr)};
        const bool bad = !(bits & (kFin | kSyn | kRst | kAck)) || ((bits & kSyn) && (bits & (kFin | kRst)));
        for (const Packet& packet : {tcp4(tcp), tcp6(tcp)}) {
            if (bad)
                expect(packet, SW_REASON_BAD_FLAGS, kWeb, "flags " + std::to_string(bits));
            else
                expect_judged(packet.bytes(), "flags " + std::to_string(bits));
        }
    }
}

TEST_F(ServiceTest, BadFlagsTakeTheConfiguredAction) {
    for (const auto action : {SW_ACTION_PASS, SW_ACTION_DROP, SW_ACTION_ESCALATE}) {
        policy.web().malformed = action;
        store();
        expect(tcp4({.fin = true, .syn = true}), SW_REASON_BAD_FLAGS);
        expect(tcp6({}), SW_REASON_BAD_FLAGS);
        expect(Ethernet{} / Packet(Ipv4{.source = kHost4}) / Tcp{.syn = true}, SW_REASON_BAD_SOURCE);
    }
}

TEST_F(ServiceTest, SourcesThatNobodyCanAnswer) {
    for (const bool syn : {true, false}) {
        const Tcp tcp{.syn = syn, .ack = !syn};
        for (const char* source : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.255", "224.0.0.1",
                                   "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1"})
            expect(Ethernet{} / Packet(Ipv4{.source = address(source)}) / tcp, SW_REASON_BAD_SOURCE, kWeb,
                   source);
        for (const char* source : {"::", "::1", "ff02::1", "ff0e::1:2", "2001:db8::1"})
            expect(Ethernet{} / Packet(Ipv6{.source = address(source)}) / tcp, SW_REASON_BAD_SOURCE, kWeb,
                   source);
    }
    for (const char* source : {"1.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255", "10.0.0.1",
                               "198.18.0.0", "169.254.1.1"})
        answered((Ethernet{} / Packet(Ipv4{.source = address(source)}) / Tcp{.syn = true}).bytes());
    for (const char* source : {"::2", "1::", "fe80::1", "fc00::1", "2001:db8::", "::ffff", "0:0:0:1::1"})
        answered((Ethernet{} / Packet(Ipv6{.source = address(source)}) / Tcp{.syn = true}).bytes());
}

}  // namespace synward::bpf_test
