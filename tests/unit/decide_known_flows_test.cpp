// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's connections, read from the kernel of this machine.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include "lib/decide/known_flows_source.h"
#include "lib/decide/prefix.h"
#include "lib/descriptor.h"
#include "namespace.h"

namespace synward {
namespace {

struct Endpoint {
    Address address;
    std::uint16_t port = 0;
};

struct KnownFlowsSourceTest : testing::Test {
    // A TCP connection between two sockets of this thread.
    struct Connection {
        Descriptor listener, client, server;
        Endpoint client_end, server_end;
        // As it arrives at the server.
        [[nodiscard]] FlowTuple at_server() const { return tuple(client_end, server_end); }
        [[nodiscard]] FlowTuple at_client() const { return tuple(server_end, client_end); }
        static FlowTuple tuple(const Endpoint& from, const Endpoint& to) {
            return {raw_address(from.address), raw_address(to.address), from.port, to.port,
                    from.address.family};
        }
    };

    static Endpoint endpoint(int fd) {
        sockaddr_storage storage{};
        socklen_t length = sizeof storage;
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length), 0);
        Endpoint end;
        if (storage.ss_family == AF_INET) {
            sockaddr_in v4;
            std::memcpy(&v4, &storage, sizeof v4);
            std::memcpy(end.address.bytes.data(), &v4.sin_addr, 4);
            end.port = ntohs(v4.sin_port);
        } else {
            sockaddr_in6 v6;
            std::memcpy(&v6, &storage, sizeof v6);
            std::uint8_t bytes[16];
            std::memcpy(bytes, &v6.sin6_addr, 16);
            end.address = Address::from_mapped(bytes);
            end.port = ntohs(v6.sin6_port);
        }
        return end;
    }

    // `listen_family` AF_INET6 with an IPv4 client: a v4-mapped connection.
    static Connection connect_to(const std::string& address, int listen_family, std::uint16_t port) {
        Connection c;
        c.listener = Descriptor(socket(listen_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in6 any6{.sin6_family = AF_INET6, .sin6_port = htons(port)};
        sockaddr_in any4{.sin_family = AF_INET, .sin_port = htons(port)};
        const bool v6 = listen_family == AF_INET6;
        EXPECT_EQ(bind(c.listener.get(),
                       v6 ? reinterpret_cast<sockaddr*>(&any6) : reinterpret_cast<sockaddr*>(&any4),
                       v6 ? sizeof any6 : sizeof any4),
                  0);
        EXPECT_EQ(listen(c.listener.get(), 4), 0);
        const Address to = *Address::parse(address);
        c.client =
            Descriptor(socket(to.family == SW_IPV4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
        std::memcpy(&any4.sin_addr, to.bytes.data(), 4);
        std::memcpy(&any6.sin6_addr, to.bytes.data(), 16);
        const bool to6 = to.family == SW_IPV6;
        // The kernel adds the local route of an IPv6 address in its own time.
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (connect(c.client.get(),
                       to6 ? reinterpret_cast<sockaddr*>(&any6) : reinterpret_cast<sockaddr*>(&any4),
                       to6 ? sizeof any6 : sizeof any4))
            if ((errno != ENETUNREACH && errno != EHOSTUNREACH) ||
                std::chrono::steady_clock::now() > deadline)
                throw std::system_error(errno, std::generic_category(), "connect to " + address);
        c.server = Descriptor(accept4(c.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        EXPECT_TRUE(c.server);
        // Both speak, so that conntrack holds the connection for assured.
        char byte = 'x';
        EXPECT_EQ(send(c.client.get(), &byte, 1, 0), 1);
        EXPECT_EQ(recv(c.server.get(), &byte, 1, 0), 1);
        EXPECT_EQ(send(c.server.get(), &byte, 1, 0), 1);
        EXPECT_EQ(recv(c.client.get(), &byte, 1, 0), 1);
        c.client_end = endpoint(c.client.get());
        c.server_end = endpoint(c.server.get());
        return c;
    }

    static KnownFlowsSource::Counts refreshed(KnownFlowsSource& source, KnownFlows& flows,
                                              std::uint64_t now) {
        const auto counts = source.refresh(flows, now);
        EXPECT_TRUE(counts) << (counts ? "" : counts.error().message);
        return counts.value_or(KnownFlowsSource::Counts{});
    }
    static KnownFlowsSource source(bool sockets, bool conntrack) {
        auto made = KnownFlowsSource::create({sockets, conntrack});
        if (!made) throw std::runtime_error(made.error().message);
        return std::move(*made);
    }

    TestNamespace space_;
    KeySource keys_{9};
    KnownFlows flows_{4096, keys_};
};

TEST_F(KnownFlowsSourceTest, SocketsOfBothFamiliesAndMappedOnes) {
    run("echo 0 > /proc/sys/net/ipv6/conf/lo/disable_ipv6; ip address add 2001:db8::1/128 dev lo nodad");
    const Connection four = connect_to("198.18.0.1", AF_INET, 8001);
    const Connection mapped = connect_to("198.18.0.1", AF_INET6, 8002);
    const Connection six = connect_to("2001:db8::1", AF_INET6, 8003);
    KnownFlowsSource from = source(true, false);
    EXPECT_EQ(from.fd(), -1);
    const auto counts = refreshed(from, flows_, 5);
    EXPECT_EQ(counts.sockets, 6u) << "two ends of each; no listener";
    EXPECT_EQ(flows_.finished(), 5u);
    for (const Connection* c : {&four, &mapped, &six}) {
        EXPECT_TRUE(flows_.contains(c->at_server()));
        EXPECT_TRUE(flows_.contains(c->at_client()));
        FlowTuple other = c->at_server();
        other.source_port ^= 1;
        EXPECT_FALSE(flows_.contains(other));
    }
    EXPECT_TRUE(flows_.contains_source(raw_address(*Address::parse("198.18.0.1")), SW_IPV4));
    EXPECT_FALSE(flows_.contains_source(raw_address(*Address::parse("198.18.0.2")), SW_IPV4));
}

TEST_F(KnownFlowsSourceTest, AConnectionThatEndedIsForgottenAfterTwoReadings) {
    KnownFlowsSource from = source(true, false);
    FlowTuple tuple;
    {
        const Connection c = connect_to("198.18.0.1", AF_INET, 8001);
        tuple = c.at_server();
        // Gone at once, with no TIME_WAIT.
        const linger now{.l_onoff = 1, .l_linger = 0};
        for (const int fd : {c.client.get(), c.server.get()})
            ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
        refreshed(from, flows_, 1);
        ASSERT_TRUE(flows_.contains(tuple));
    }
    EXPECT_EQ(refreshed(from, flows_, 2).sockets, 0u);
    EXPECT_TRUE(flows_.contains(tuple)) << "one generation back";
    refreshed(from, flows_, 3);
    EXPECT_FALSE(flows_.contains(tuple));
}

TEST_F(KnownFlowsSourceTest, ConntrackEntriesInBothDirectionsAndItsReports) {
    run("nft 'add table ip t; add chain ip t c { type filter hook prerouting priority 0; }; "
        "add rule ip t c ct state established accept'");
    KnownFlowsSource from = source(false, true);
    ASSERT_GE(from.fd(), 0);
    const Connection early = connect_to("198.18.0.1", AF_INET, 8001);
    const auto counts = refreshed(from, flows_, 1);
    ASSERT_TRUE(counts.conntrack_there);
    EXPECT_EQ(counts.sockets, 0u);
    EXPECT_EQ(counts.conntrack, 1u);
    EXPECT_TRUE(flows_.contains(early.at_server()));
    EXPECT_TRUE(flows_.contains(early.at_client()));

    const Connection late = connect_to("198.18.0.1", AF_INET, 8002);
    EXPECT_FALSE(flows_.contains(late.at_server()));
    pollfd wait{.fd = from.fd(), .events = POLLIN};
    ASSERT_EQ(poll(&wait, 1, 5000), 1) << "conntrack reports nothing";
    const auto reported = from.consume(flows_);
    ASSERT_TRUE(reported) << reported.error().message;
    EXPECT_GE(reported->flows, 1u);
    EXPECT_FALSE(reported->lost);
    EXPECT_TRUE(flows_.contains(late.at_server()));
    EXPECT_TRUE(flows_.contains(late.at_client()));
    EXPECT_EQ(from.consume(flows_)->flows, 0u) << "does not wait";
}

// A SYN that nobody answers makes an entry, but no connection.
TEST_F(KnownFlowsSourceTest, AHalfOpenConnectionIsNotOne) {
    run("nft 'add table ip t; add chain ip t c { type filter hook output priority 0; }; "
        "add rule ip t c ct state established accept'");
    run("ip neighbour replace 198.18.0.9 lladdr 02:00:00:00:00:09 dev here");
    const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, "198.18.0.9", &to.sin_addr);
    ASSERT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), -1);
    ASSERT_EQ(errno, EINPROGRESS);
    KnownFlowsSource entries = source(false, true);
    EXPECT_EQ(refreshed(entries, flows_, 1).conntrack, 0u);
    // But a socket of ours that waits for its SYN-ACK is known.
    KnownFlowsSource sockets = source(true, false);
    EXPECT_EQ(refreshed(sockets, flows_, 2).sockets, 1u);
    const Endpoint end = endpoint(client.get());
    EXPECT_TRUE(flows_.contains(Connection::tuple({*Address::parse("198.18.0.9"), 9}, end)));
}

}  // namespace
}  // namespace synward
