// SPDX-License-Identifier: GPL-2.0-or-later
// The walk over the sockets, with real connections.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "fixture.h"
#include "lib/descriptor.h"
#include "lib/maps.h"
#include "xdp/hash.h"

namespace synward {
namespace {

struct Connection {
    Descriptor client;
    Descriptor server;
    std::uint16_t port = 0;  // the client's
};

class LearnTest : public InstanceTest {
  protected:
    static Descriptor listen_on(int family, std::uint16_t port) {
        Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const int one = 1;
        setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        sockaddr_in6 address{};
        address.sin6_family = static_cast<sa_family_t>(family);
        address.sin6_port = htons(port);
        EXPECT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address),
                       family == AF_INET ? sizeof(sockaddr_in) : sizeof address),
                  0);
        EXPECT_EQ(listen(socket.get(), 8), 0);
        return socket;
    }

    // To 127.0.0.1 or ::1.
    static Connection connect_to(const Descriptor& listener, int family, std::uint16_t port) {
        Connection c{Descriptor(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)), {}, 0};
        sockaddr_in6 six{};
        six.sin6_family = AF_INET6;
        six.sin6_addr = in6addr_loopback;
        six.sin6_port = htons(port);
        sockaddr_in four{};
        four.sin_family = AF_INET;
        four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        four.sin_port = htons(port);
        const auto* to =
            family == AF_INET ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
        EXPECT_EQ(connect(c.client.get(), to, family == AF_INET ? sizeof four : sizeof six), 0);
        c.server = Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        EXPECT_TRUE(c.server);
        sockaddr_in6 own{};
        socklen_t size = sizeof own;
        getsockname(c.client.get(), reinterpret_cast<sockaddr*>(&own), &size);
        c.port = ntohs(own.sin6_port);  // at the same offset in both families
        return c;
    }

    // The generations of the filter that have the connection: bit 0 and bit 1.
    static unsigned stamps_of(const Instance& instance, int family, std::uint16_t from, std::uint16_t to) {
        __u64 source[2] = {};
        if (family == AF_INET) {
            const std::uint32_t loopback = htonl(INADDR_LOOPBACK);
            std::memcpy(source, &loopback, 4);
        } else {
            std::memcpy(source, &in6addr_loopback, 16);
        }
        const std::uint32_t ports = htons(from) | static_cast<std::uint32_t>(htons(to)) << 16;
        const auto slot =
            hash_filter(instance.config().hash_key, source, ports, family == AF_INET ? SW_IPV4 : SW_IPV6);
        const auto memory =
            must(MappedArray<sw_memory>::create(instance.map_fd("sw_memory"), 1, "sw_memory"));
        const auto stamp = instance.config().stamp;
        unsigned found = 0;
        for (unsigned generation = 0; generation < SW_GENERATIONS; generation++) {
            const auto word = memory.data()->filter.bits[sw_filter_word(slot, stamp, generation)][generation];
            found |= static_cast<unsigned>(word >> slot % 64 & 1) << generation;
        }
        return found;
    }
};

TEST_F(LearnTest, StampsConnectionsOfProtectedPortsAndEarnsTrust) {
    add("web", {8080}, SW_MODE_COOKIE);
    add("six", {8081}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    const Descriptor web = listen_on(AF_INET, 8080);
    const Descriptor six = listen_on(AF_INET6, 8081);
    const Descriptor other = listen_on(AF_INET, 9090);
    const Connection a = connect_to(web, AF_INET, 8080);
    const Connection b = connect_to(six, AF_INET6, 8081);
    const Connection mapped = connect_to(six, AF_INET, 8081);
    const Connection c = connect_to(other, AF_INET, 9090);
    EXPECT_FALSE(must(instance.states()).at(1).trusted);

    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 2u);
    const unsigned fresh = 1u << instance.config().stamp;
    EXPECT_EQ(stamps_of(instance, AF_INET, a.port, 8080), fresh);
    EXPECT_EQ(stamps_of(instance, AF_INET6, b.port, 8081), fresh);
    EXPECT_EQ(stamps_of(instance, AF_INET, mapped.port, 8081), fresh) << "IPv4 through an IPv6 listener";
    EXPECT_EQ(stamps_of(instance, AF_INET, c.port, 9090), 0u) << "not protected";
    EXPECT_TRUE(must(instance.states()).at(1).trusted);
    EXPECT_TRUE(must(instance.states()).at(2).trusted);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 0u) << "nothing new to gain";
}

TEST_F(LearnTest, AStampDiesWithTheSecondWalkThatFindsNoSocket) {
    add("web", {8080}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    const Descriptor web = listen_on(AF_INET, 8080);
    std::uint16_t port = 0;
    auto counts = [&] { return stamps_of(instance, AF_INET, port, 8080) != 0; };
    {
        Connection gone = connect_to(web, AF_INET, 8080);
        port = gone.port;
        must(instance.learn(SYNWARD_BPF_OBJECT));
        EXPECT_TRUE(counts());
        // A reset leaves no TIME_WAIT behind.
        const linger reset{.l_onoff = 1, .l_linger = 0};
        setsockopt(gone.server.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    must(instance.learn(SYNWARD_BPF_OBJECT));
    EXPECT_TRUE(counts()) << "it may have been on its way";
    must(instance.learn(SYNWARD_BPF_OBJECT));
    EXPECT_FALSE(counts());
}

TEST_F(LearnTest, TheGenerationsTakeTurns) {
    add("web", {8080}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    const Descriptor web = listen_on(AF_INET, 8080);
    const Connection a = connect_to(web, AF_INET, 8080);
    for (int i = 0; i < 4; i++) {
        const unsigned before = instance.config().stamp;
        must(instance.learn(SYNWARD_BPF_OBJECT));
        ASSERT_EQ(instance.config().stamp, before ^ 1);
        ASSERT_EQ(stamps_of(instance, AF_INET, a.port, 8080), i ? 3u : 1u << (before ^ 1));
    }
}

// A young generation is kept: the walk puts what it finds into it, and takes nothing out.
TEST_F(LearnTest, AWalkMayKeepTheGeneration) {
    add("web", {8080}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    const Descriptor web = listen_on(AF_INET, 8080);
    const unsigned before = instance.config().stamp;
    const Connection a = connect_to(web, AF_INET, 8080);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT, Instance::Filter::keep)), 1u);
    EXPECT_EQ(instance.config().stamp, before);
    EXPECT_EQ(stamps_of(instance, AF_INET, a.port, 8080), 1u << before);
    EXPECT_TRUE(must(instance.states()).at(1).trusted);
}

// Few connections: both generations become small, one walk after the other, and still hold them.
TEST_F(LearnTest, TheFilterFitsTheConnections) {
    add("web", {8080}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    const Descriptor web = listen_on(AF_INET, 8080);
    const Connection a = connect_to(web, AF_INET, 8080);
    EXPECT_FALSE(filter_wants_renewal(instance.filter_use(), 0));
    must(instance.learn(SYNWARD_BPF_OBJECT, Instance::Filter::fit));
    EXPECT_TRUE(filter_wants_renewal(instance.filter_use(), 0)) << "the older generation is larger";
    EXPECT_NE(stamps_of(instance, AF_INET, a.port, 8080), 0u);
    must(instance.learn(SYNWARD_BPF_OBJECT, Instance::Filter::fit));
    EXPECT_FALSE(filter_wants_renewal(instance.filter_use(), 0));
    EXPECT_EQ(stamps_of(instance, AF_INET, a.port, 8080), 3u);
    const __u8 stamp = instance.config().stamp;
    for (unsigned generation = 0; generation < SW_GENERATIONS; generation++)
        EXPECT_EQ(sw_stamp_less(stamp, generation), SW_FILTER_SHIFT - SW_FILTER_SHIFT_MIN);

    // It fills up: an eighth of its bits is enough to want another, which is larger.
    const auto memory = must(MappedArray<sw_memory>::create(instance.map_fd("sw_memory"), 1, "sw_memory"));
    for (std::size_t i = 0; i < (1u << SW_FILTER_SHIFT_MIN) / 64; i++)
        memory.data()->filter.bits[i][sw_stamp_generation(stamp)] |= 0xfff;
    EXPECT_TRUE(filter_wants_renewal(instance.filter_use(), 0));
    must(instance.learn(SYNWARD_BPF_OBJECT, Instance::Filter::fit));
    const __u8 larger = instance.config().stamp;
    EXPECT_LT(sw_stamp_less(larger, sw_stamp_generation(larger)), SW_FILTER_SHIFT - SW_FILTER_SHIFT_MIN - 2u);
    must(instance.learn(SYNWARD_BPF_OBJECT));
    EXPECT_EQ(sw_stamp_less(instance.config().stamp, sw_stamp_generation(instance.config().stamp)), 0u);
}

TEST_F(LearnTest, ArmingAgainNeedsAnotherWalk) {
    add("web", {8080}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    must(instance.learn(SYNWARD_BPF_OBJECT));
    must(instance.set_mode("web", SW_MODE_OFF));
    must(instance.set_mode("web", SW_MODE_COOKIE));
    EXPECT_FALSE(must(instance.states()).at(1).trusted);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 1u);
}

TEST_F(LearnTest, WhatAGatewayForwardsIsNeverTrusted) {
    config_.daemon.gateway = true;
    add("web", {8080}, SW_MODE_COOKIE);
    config_.services[0].settings.delivery = SW_DELIVERY_SYNPROXY;
    Instance instance = open();
    apply(instance);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 0u);
    EXPECT_FALSE(must(instance.states()).at(1).trusted);

    // What is its own is a host's, until it becomes another's.
    add("ssh", {22}, SW_MODE_COOKIE);
    config_.services[1].settings.delivery = SW_DELIVERY_REQSK;
    apply(instance);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 1u);
    EXPECT_FALSE(must(instance.states()).at(1).trusted);
    EXPECT_TRUE(must(instance.states()).at(2).trusted);
    apply(instance);
    EXPECT_TRUE(must(instance.states()).at(2).trusted);
    config_.services[1].settings.delivery = SW_DELIVERY_SYNPROXY;
    apply(instance);
    EXPECT_FALSE(must(instance.states()).at(2).trusted);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 0u);
}

}  // namespace
}  // namespace synward
