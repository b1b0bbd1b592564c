// SPDX-License-Identifier: GPL-2.0-or-later
// What the program asks the kernel before it answers: is there a plain listener
// for this address, and is this tuple free?
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "fixture.h"
#include "poll.h"

namespace synward::bpf_test {

constexpr unsigned kPort = 8090;

class ListenerTest : public BpfTest {
  protected:
    ListenerTest() {
        policy.ports[kPort] = kWeb;
        store();
    }
    static Packet syn(const Address& to, unsigned source = 40000) {
        const Tcp tcp{.source = source, .destination = kPort, .syn = true, .options = linux_syn_options()};
        if (to.size() == 4) return Ethernet{} / Packet(Ipv4{.destination = to}) / tcp;
        return Ethernet{} / Packet(Ipv6{.destination = to}) / tcp;
    }
    // Forgets what the look-ups of this CPU said.
    static void forget() {
        object().write("sw_cpu", static_cast<std::uint32_t>(pinned_cpu() % SW_CPUS),
                       *std::make_unique<sw_cpu>());
    }
};

TEST_F(ListenerTest, NobodyListens) {
    expect(syn(kHost4), SW_REASON_SYN_NO_LISTENER);
    expect(syn(kHost6), SW_REASON_SYN_NO_LISTENER);
    const Socket other = listen_on(kNeighbour4, kPort);
    expect(syn(kHost4), SW_REASON_SYN_NO_LISTENER, kWeb, "listens at another address");
    answered(syn(kNeighbour4).bytes());
}

TEST_F(ListenerTest, WildcardListeners) {
    {
        const Socket any = listen_on(address("0.0.0.0"), kPort);
        answered(syn(kHost4).bytes());
        answered(syn(kNeighbour4).bytes());
        expect(syn(kHost6), SW_REASON_SYN_NO_LISTENER);
    }
    forget();
    const Socket any = listen_on(address("::"), kPort);
    answered(syn(kHost6).bytes());
    answered(syn(kHost4).bytes());
}

TEST_F(ListenerTest, ALookUpIsBelievedForAWhile) {
    auto listener = std::make_unique<Socket>(listen_on(kHost4, kPort));
    answered(syn(kHost4).bytes());
    listener.reset();
    answered(syn(kHost4).bytes());  // not looked up again within listener_ticks
    policy.config.listener_ticks = 1;
    store();
    forget();
    EXPECT_TRUE(eventually([&] { return send(syn(kHost4).bytes()).reason() == SW_REASON_SYN_NO_LISTENER; }));
    const Socket again = listen_on(kHost4, kPort);
    EXPECT_TRUE(eventually([&] { return send(syn(kHost4).bytes()).reason() == SW_REASON_SYN_ANSWERED; }));
}

TEST_F(ListenerTest, MptcpListenersTakeNoCookie) {
    ASSERT_TRUE(mptcp_available()) << "this kernel has no MPTCP (CONFIG_MPTCP, net.mptcp.enabled)";
    const Socket listener4 = listen_on(kHost4, kPort, true), listener6 = listen_on(kHost6, kPort, true);
    expect(syn(kHost4), SW_REASON_SYN_MPTCP);
    expect(syn(kHost6), SW_REASON_SYN_MPTCP);
}

TEST_F(ListenerTest, AddressesOfOthersAreForwarded) {
    const Socket any = listen_on(address("::"), kPort);
    ASSERT_EQ(std::system("ip link add swtest0 type veth peer name swtest1 && ip link set swtest0 up && "
                          "ip link set swtest1 up && ip addr add 203.0.113.1/24 dev swtest0 && "
                          "ip addr add 2001:db8:f::1/64 dev swtest0 nodad"),
              0)
        << "iproute2 could not make a veth pair";
    // The kernel adds the local route of an IPv6 address in its own time.
    ASSERT_TRUE(eventually([] {
        return std::system("ip -6 route get 2001:db8:f::1 2>/dev/null | grep -q ^local") == 0;
    })) << "2001:db8:f::1 is not local";
    {
        const Sysctl forward4("net/ipv4/ip_forward", "1"), forward6("net/ipv6/conf/all/forwarding", "1");
        expect(syn(address("203.0.113.9")), SW_REASON_SYN_FORWARDED);
        expect(syn(address("2001:db8:f::9")), SW_REASON_SYN_FORWARDED);
        answered(syn(kHost4).bytes());
        answered(syn(kHost6).bytes());
        answered(syn(address("203.0.113.1")).bytes());
        answered(syn(address("2001:db8:f::1")).bytes());
    }
    EXPECT_EQ(std::system("ip link del swtest0"), 0);
}

// Only the kernel has the keys to answer such a SYN.
TEST_F(ListenerTest, WhoHasKeysGetsSignedSyns) {
    const Bytes md5 = options({mss(1460), raw_option(19, 18, Bytes(16, 0x5a))});
    const Bytes ao = options({mss(1460), raw_option(29, 16, Bytes(14, 0x5a))});
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, kPort);
        const auto signed_syn = [&](const Bytes& list) {
            const Tcp tcp{.source = 40000, .destination = kPort, .syn = true, .options = list};
            return v6 ? tcp6(tcp) : tcp4(tcp);
        };
        forget();
        for (const Bytes& list : {md5, ao}) answered(signed_syn(list).bytes());
        tcp_md5sig key{};
        key.tcpm_addr.ss_family = v6 ? AF_INET6 : AF_INET;
        key.tcpm_keylen = 6;
        std::memcpy(key.tcpm_key, "secret", 6);
        ASSERT_EQ(setsockopt(listener.fd(), IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key), 0);
        forget();
        for (const Bytes& list : {md5, ao}) expect(signed_syn(list), SW_REASON_SYN_SIGNED);
        answered(syn(v6 ? kHost6 : kHost4).bytes());
    }
}

// A gateway protects what it does not hold.
TEST_F(ListenerTest, AGatewayAsksForNoListener) {
    policy.config.flags |= SW_FLAG_GATEWAY;
    store();
    // But for what it has itself.
    expect(syn(kHost4), SW_REASON_SYN_NO_LISTENER);
    {
        const Socket own = listen_on(kHost4, kPort);
        forget();
        answered(syn(kHost4).bytes());
    }
    forget();
    policy.services[kWeb].delivery = SW_DELIVERY_SYNPROXY;
    policy.config.flags |= SW_FLAG_TIMESTAMP_COOKIE;
    store();
    for (const Address& behind : {kHost4, address("203.0.113.9"), kHost6})
        EXPECT_EQ(send(syn(behind).bytes()).reason(), SW_REASON_SYN_ANSWERED);
}

// In a VRF connections of other listeners are not found again: the kernel is left alone.
TEST_F(ListenerTest, InAVrfOnlyWhatIsBoundToTheDeviceIsAnswered) {
    policy.config.flags |= SW_FLAG_VRF;
    policy.services[kWeb].stray = SW_ACTION_DROP;
    store();
    {
        const Socket any = listen_on(kHost4, kPort);
        expect(syn(kHost4), SW_REASON_SYN_NO_LISTENER);
        const Tcp ack{.destination = kPort, .ack = true};
        expect(tcp4(ack), SW_REASON_NO_LISTENER, kWeb, "nor is what follows dropped");
        const Tcp tcp{.source = 40000, .destination = kPort, .syn = true, .options = linux_syn_options()};
        answered((Ethernet{} / Packet(Vlan{.id = 7}) / Ipv4{} / tcp).bytes());
        policy.config.flags ^= SW_FLAG_VRF | SW_FLAG_VRF_TAGGED;
        store();
        answered(syn(kHost4).bytes());
        expect(Ethernet{} / Packet(Vlan{.id = 7}) / Ipv4{} / tcp, SW_REASON_SYN_NO_LISTENER);
    }
    forget();
    policy.config.flags |= SW_FLAG_VRF;
    store();
    const Socket bound = listen_on(kHost4, kPort);
    ASSERT_EQ(setsockopt(bound.fd(), SOL_SOCKET, SO_BINDTODEVICE, "lo", 2), 0);
    answered(syn(kHost4).bytes());
}

class KnownTupleTest : public ListenerTest {
  protected:
    Packet syn_of(const Connection& connection, bool v6) {
        const Tcp tcp{.source = connection.client.port(), .destination = kPort, .syn = true};
        if (v6) return Ethernet{} / Packet(Ipv6{.source = kNeighbour6}) / tcp;
        return Ethernet{} / Packet(Ipv4{.source = kNeighbour4}) / tcp;
    }
};

TEST_F(KnownTupleTest, EstablishedAndTimeWaitKeepTheirTuple) {
    for (const bool v6 : {false, true}) {
        const Socket listener = listen_on(v6 ? kHost6 : kHost4, kPort);
        Connection connection = connect_to(listener, v6);
        const Packet again = syn_of(connection, v6);
        fill_filter(Filter::empty);
        answered(again.bytes());  // an empty filter proves that nobody holds it
        fill_filter(Filter::first_generation);
        expect(again, SW_REASON_SYN_KNOWN);
        fill_filter(Filter::second_generation);
        expect(again, SW_REASON_SYN_KNOWN);

        connection.server = Socket();  // the host closes first and waits
        connection.client = Socket();
        fill_filter(Filter::first_generation);
        expect(again, SW_REASON_SYN_KNOWN, kWeb, "TIME_WAIT");
        // The filter says "may be": the free tuple beside it is answered.
        answered(syn(v6 ? kHost6 : kHost4, 1234).bytes());
    }
}

TEST_F(KnownTupleTest, TheFilterIsNotBelievedBeforeTheWalkIsDone) {
    const Socket listener = listen_on(kHost4, kPort);
    const Connection connection = connect_to(listener, false);
    policy.states[kWeb].armings = 3;
    policy.states[kWeb].trusted = 2;
    store();
    expect(syn_of(connection, false), SW_REASON_SYN_KNOWN);
    answered(syn(kHost4, 1234).bytes());
    policy.states[kWeb].trusted = 3;
    store();
    expect(syn_of(connection, false), SW_REASON_SYN_KNOWN, kWeb, "put into the filter when it was found");
    fill_filter(Filter::empty);
    answered(syn_of(connection, false).bytes());
}

}  // namespace synward::bpf_test
