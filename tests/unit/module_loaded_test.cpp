// SPDX-License-Identifier: GPL-2.0-or-later
// libsynward against the kernel module itself: for guests, where it is loaded.
// UDP datagrams over loopback, marked by nft, stand for escalated packets.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>

#include "lib/escalation/module.h"
#include "lib/escalation/open.h"
#include "namespace.h"

namespace synward {
namespace {

constexpr std::uint16_t port = 4030;
constexpr std::uint32_t mark = 0x00120000 | SW_MARK_ESCALATE | SW_REASON_STRAY_ACK << SW_MARK_REASON_SHIFT;

class ModuleLoadedTest : public testing::Test {
  protected:
    void SetUp() override {
        run("nft 'table ip test { chain marks { type filter hook prerouting priority -300; udp dport " +
            std::to_string(port) + " meta mark set " + std::to_string(mark) + "; }; }'");
        receiver_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sender_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(bind(receiver_.get(), reinterpret_cast<const sockaddr*>(&to_), sizeof to_), 0);
    }
    static std::unique_ptr<RingTransport> open(const RingOptions& options = {}) {
        auto transport = RingTransport::open(options);
        EXPECT_TRUE(transport) << transport.error().message;
        return transport ? std::move(*transport) : nullptr;
    }
    static ModuleControl control() {
        auto control = ModuleControl::open();
        if (!control) throw std::runtime_error(control.error().message);
        return std::move(*control);
    }
    void send(unsigned count) {
        for (unsigned i = 0; i < count; ++i)
            ASSERT_EQ(
                sendto(sender_.get(), &i, sizeof i, 0, reinterpret_cast<const sockaddr*>(&to_), sizeof to_),
                static_cast<ssize_t>(sizeof i));
    }
    std::vector<unsigned> arrived() {
        std::vector<unsigned> numbers;
        unsigned number = 0;
        while (recv(receiver_.get(), &number, sizeof number, MSG_DONTWAIT) == sizeof number)
            numbers.push_back(number);
        return numbers;
    }

    TestNamespace space_;
    Descriptor receiver_, sender_;
    sockaddr_in to_{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(0xc6120001)}, .sin_zero = {}};
};

TEST_F(ModuleLoadedTest, HeldPacketsGetDifferentVerdictsInOneCall) {
    const auto transport = open();
    ASSERT_TRUE(transport);
    send(100);
    EXPECT_TRUE(arrived().empty());
    pollfd waiting{.fd = transport->fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&waiting, 1, 2000), 1);
    const auto events = *transport->receive();
    ASSERT_EQ(events.size(), 100u);
    EXPECT_EQ(events[0].kind, EventKind::stray);
    EXPECT_EQ(events[0].mark, mark);
    EXPECT_EQ(events[0].source[0], htonl(0xc6120001));
    EXPECT_EQ(events[0].protocol, IPPROTO_UDP);
    EXPECT_EQ(events[0].length, 32u);
    std::vector<Verdict> verdicts;
    std::vector<unsigned> expected;
    for (unsigned i = 0; i < 100; ++i) {
        verdicts.push_back({.id = events[i].id, .kind = i % 3 ? SW_VERDICT_ACCEPT : SW_VERDICT_DROP});
        if (i % 3) expected.push_back(i);
    }
    ASSERT_TRUE(transport->send(verdicts));
    EXPECT_EQ(arrived(), expected);
    EXPECT_EQ(transport->stats().system_calls, 1u);
    ASSERT_TRUE(transport->send(verdicts)) << "again: stale, and harmless";
    const auto counters = control().counters();
    ASSERT_TRUE(counters) << counters.error().message;
    EXPECT_EQ((*counters)[SW_REASON_RING_HELD], 100u);
    EXPECT_EQ((*counters)[SW_REASON_RING_DROPPED], 34u);
    EXPECT_EQ((*counters)[SW_REASON_RING_ACCEPTED], 66u);
    EXPECT_EQ((*counters)[SW_REASON_RING_STALE], 100u);
}

TEST_F(ModuleLoadedTest, CopiesAreReadAndGivenBackRoundTheRing) {
    const auto transport = open({.mode = SW_RING_COPY, .slots = 16});
    ASSERT_TRUE(transport);
    for (int round = 0; round < 10; ++round) {
        send(16);
        const auto events = *transport->receive();
        ASSERT_EQ(events.size(), 16u) << round;
        EXPECT_EQ(events[0].id, 0u);
    }
    EXPECT_TRUE(arrived().empty());
    EXPECT_EQ(transport->stats().lost, 0u);
}

TEST_F(ModuleLoadedTest, WhatFindsNoSlotIsLetThroughAndCounted) {
    const auto transport = open({.slots = 8});
    ASSERT_TRUE(transport);
    send(20);
    EXPECT_EQ(arrived().size(), 12u);
    EXPECT_EQ(transport->receive()->size(), 8u);
    EXPECT_EQ(transport->stats().lost, 12u);
}

TEST_F(ModuleLoadedTest, ADeadlineThatPassesLetsGo) {
    const auto transport = open({.deadline_ms = 50});
    ASSERT_TRUE(transport);
    send(3);
    pollfd arriving{.fd = receiver_.get(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(poll(&arriving, 1, 5000), 1);
    const auto counters = control().counters();
    ASSERT_TRUE(counters) << counters.error().message;
    EXPECT_GE((*counters)[SW_REASON_RING_EXPIRED], 1u);
}

TEST_F(ModuleLoadedTest, RefusalsAreToldApart) {
    const auto first = open();
    ASSERT_TRUE(first);
    EXPECT_EQ(RingTransport::open({}).error().code, ErrorCode::busy) << "a second reader";
    EXPECT_EQ(RingTransport::open({.ring = 1, .rings = 2}).error().code, ErrorCode::busy)
        << "of another number";
    EXPECT_EQ(RingTransport::open({.slots = 3}).error().code, ErrorCode::usage);
    EXPECT_EQ(RingTransport::open({.frame_bytes = 64}).error().code, ErrorCode::usage);
    EXPECT_EQ(RingTransport::open({.deadline_ms = 0}).error().code, ErrorCode::usage);
    EXPECT_EQ(RingTransport::open({.ring = 5, .rings = 2}).error().code, ErrorCode::usage);
}

TEST_F(ModuleLoadedTest, PolicyRingsAndEventsAreSeen) {
    ModuleControl module = control();
    auto events = ModuleEvents::subscribe(module);
    ASSERT_TRUE(events) << events.error().message;
    ASSERT_TRUE(module.set_policy({.fail = SW_RING_FAIL_DROP, .slots = 64}));
    EXPECT_EQ(module.status()->policy.fail, SW_RING_FAIL_DROP);
    EXPECT_EQ(module.status()->policy.slots, 64u);
    EXPECT_FALSE(module.set_policy({.fail = static_cast<sw_ring_fail>(9)}));
    EXPECT_EQ(module.status()->policy.fail, SW_RING_FAIL_DROP) << "a refused change changes nothing";
    EXPECT_EQ(RingTransport::open({.slots = 128}).error().code, ErrorCode::usage)
        << "beyond the namespace's cap";
    EXPECT_TRUE(module.rings()->empty());
    {
        const auto transport = open({.ring = 1, .rings = 2, .slots = 32});
        ASSERT_TRUE(transport);
        const auto rings = module.rings();
        ASSERT_TRUE(rings);
        ASSERT_EQ(rings->size(), 1u);
        EXPECT_EQ((*rings)[0].ring, 1);
        EXPECT_EQ((*rings)[0].rings, 2);
        EXPECT_EQ((*rings)[0].slots, 32u);
    }
    EXPECT_TRUE(module.rings()->empty());
    std::vector<sw_nl_event> seen;
    const auto read = events->read();
    ASSERT_TRUE(read);
    for (const ModuleEvent& event : *read) seen.push_back(event.event);
    EXPECT_THAT(seen, testing::ElementsAre(SW_NL_EVENT_OPENED, SW_NL_EVENT_CLOSED));
}

TEST_F(ModuleLoadedTest, AutomaticTakesTheRing) {
    const auto opened = open_transport(TransportChoice::automatic, 0, 1, {});
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->transport->name(), "ring");
}

}  // namespace
}  // namespace synward
