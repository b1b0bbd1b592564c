// SPDX-License-Identifier: GPL-2.0-or-later
// nfnetlink_queue of this kernel, in a namespace of the test's own. UDP datagrams
// over loopback stand for escalated packets: nft marks those to port 4000 + n with
// the reason n, our rule brings them to the queue.
#include "lib/escalation/nfqueue.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <numeric>
#include <thread>

#include "allocations.h"
#include "failing_ioctl.h"
#include "lib/escalation/open.h"
#include "lib/escalation/queue_rule.h"
#include "namespace.h"

namespace synward {
namespace {

constexpr std::uint16_t queue = 700;
constexpr std::uint32_t other_bits = 0x00120000;  // of the mark, which are not ours

class NfqueueTest : public testing::Test {
  protected:
    void SetUp() override {
        run("nft add table ip test");
        run("nft add chain ip test marks '{ type filter hook prerouting priority -300; }'");
        for (const auto reason : {SW_REASON_STRAY_ACK, SW_REASON_SYN_ODD})
            run("nft add rule ip test marks udp dport " + std::to_string(port(reason)) + " meta mark set " +
                std::to_string(mark(reason)));
        // What a verdict made of the mark, seen at the next hook.
        run("nft add chain ip test after '{ type filter hook prerouting priority -298; }'");
        const auto installed = install_queue_rule({queue, queue});
        ASSERT_TRUE(installed) << installed.error().message;
        receiver_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in to = address(port(SW_REASON_STRAY_ACK));
        const int bytes = 16 << 20;
        ASSERT_EQ(setsockopt(receiver_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes), 0);
        ASSERT_EQ(bind(receiver_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        sender_ = Descriptor(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    }

    static std::uint16_t port(sw_reason reason) { return static_cast<std::uint16_t>(4000 + reason); }
    static std::uint32_t mark(sw_reason reason) {
        return SW_MARK_ESCALATE | static_cast<std::uint32_t>(reason) << SW_MARK_REASON_SHIFT | other_bits;
    }
    static sockaddr_in address(std::uint16_t port) {
        return {
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(0xc6120001)}, .sin_zero = {}};
    }

    static std::unique_ptr<NfqueueTransport> open(NfqueueOptions options = {}) {
        options.queue = queue;
        auto transport = NfqueueTransport::open(options);
        EXPECT_TRUE(transport) << transport.error().message;
        return transport ? std::move(*transport) : nullptr;
    }
    // Numbered datagrams; one over loopback is in the queue when sendto() returns.
    void send(unsigned count, sw_reason reason = SW_REASON_STRAY_ACK) {
        const sockaddr_in to = address(port(reason));
        for (unsigned i = 0; i < count; ++i, ++sent_)
            ASSERT_EQ(sendto(sender_.get(), &sent_, sizeof sent_, 0, reinterpret_cast<const sockaddr*>(&to),
                             sizeof to),
                      static_cast<ssize_t>(sizeof sent_));
    }
    // Numbers of the datagrams that got through.
    std::vector<std::uint32_t> arrived() {
        std::vector<std::uint32_t> numbers;
        std::uint32_t number = 0;
        while (recv(receiver_.get(), &number, sizeof number, MSG_DONTWAIT) == sizeof number)
            numbers.push_back(number);
        return numbers;
    }
    static std::span<const FlowEvent> receive(NfqueueTransport& transport) {
        const auto events = transport.receive();
        EXPECT_TRUE(events) << events.error().message;
        return events.value_or(std::span<const FlowEvent>{});
    }
    static void accept_all(NfqueueTransport& transport) {
        for (auto events = receive(transport); !events.empty(); events = receive(transport)) {
            std::vector<Verdict> verdicts;
            for (const FlowEvent& event : events) verdicts.push_back({.id = event.id});
            ASSERT_TRUE(transport.send(verdicts));
        }
    }
    // A column of the kernel's table of queues: 2 waiting, 5 queue dropped, 6 user dropped, 7 last id.
    static std::uint64_t kernel_says(int column) {
        std::ifstream file("/proc/thread-self/net/netfilter/nfnetlink_queue");
        std::uint64_t value = ~0ULL;
        for (int i = 0; i <= column; ++i) file >> value;
        return file ? value : ~0ULL;
    }

    TestNamespace space_;
    Descriptor receiver_, sender_;
    std::uint32_t sent_ = 0;
};

TEST_F(NfqueueTest, AnEventSaysWhyAndWhat) {
    const auto transport = open();
    ASSERT_TRUE(transport);
    EXPECT_TRUE(receive(*transport).empty());
    send(1, SW_REASON_SYN_ODD);
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    const auto events = receive(*transport);
    ASSERT_EQ(events.size(), 1u);
    EXPECT_NE(events[0].id, 0u);
    EXPECT_EQ(events[0].reason, SW_REASON_SYN_ODD);
    EXPECT_EQ(events[0].kind, EventKind::syn);
    EXPECT_EQ(events[0].mark, mark(SW_REASON_SYN_ODD));
    EXPECT_EQ(events[0].source[0], htonl(0xc6120001));
    EXPECT_EQ(events[0].length, 32u);
    EXPECT_EQ(events[0].protocol, IPPROTO_UDP);
    EXPECT_EQ(events[0].ifindex, 1u);
    EXPECT_EQ(events[0].family, SW_IPV4);
    EXPECT_NEAR(static_cast<double>(events[0].time) / 1e9,
                static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9, 5.0);
    EXPECT_EQ(find_queue_rule()->value().packets, 1u);
}

TEST_F(NfqueueTest, AcceptedOnesGoOnInOrderAndDroppedOnesDoNot) {
    const auto transport = open();
    ASSERT_TRUE(transport);
    send(200);
    EXPECT_TRUE(arrived().empty()) << "held";
    std::vector<std::uint32_t> expected;
    unsigned seen = 0;
    for (auto events = receive(*transport); !events.empty(); events = receive(*transport)) {
        std::vector<Verdict> verdicts;
        for (const FlowEvent& event : events) {
            const bool accept = seen % 3 != 0;
            if (accept) expected.push_back(seen);
            verdicts.push_back({.id = event.id, .kind = accept ? SW_VERDICT_ACCEPT : SW_VERDICT_DROP});
            ++seen;
        }
        ASSERT_TRUE(transport->send(verdicts));
    }
    EXPECT_EQ(seen, 200u);
    EXPECT_EQ(arrived(), expected);
    EXPECT_EQ(kernel_says(2), 0u) << "packets wait without a verdict";
    EXPECT_EQ(transport->stats().lost, 0u);
    EXPECT_EQ(transport->stats().torn, 0u);
    EXPECT_EQ(transport->stats().refused, 0u);
}

TEST_F(NfqueueTest, AVerdictChangesTheMarkAndEndsTheEscalation) {
    for (const std::uint32_t wanted : {other_bits, other_bits | 0x33, 0x00000033u})
        run("nft add rule ip test after meta mark " + std::to_string(wanted) + " counter comment m" +
            std::to_string(wanted));
    const auto transport = open();
    ASSERT_TRUE(transport);
    send(6);
    const auto events = receive(*transport);
    ASSERT_EQ(events.size(), 6u);
    std::vector<Verdict> verdicts;
    for (std::size_t i = 0; i < 3; ++i) verdicts.push_back({.id = events[i].id});
    for (std::size_t i = 3; i < 5; ++i) verdicts.push_back({.id = events[i].id, .mark = 0x33, .mask = 0xff});
    verdicts.push_back({.id = events[5].id, .mark = 0x33, .mask = ~0u});
    ASSERT_TRUE(transport->send(verdicts));
    const auto packets = [](std::uint32_t wanted) {
        return output("nft list chain ip test after | grep m" + std::to_string(wanted) +
                      "'\"' | sed 's/.*packets \\([0-9]*\\).*/\\1/'");
    };
    EXPECT_EQ(packets(other_bits), "3\n");
    EXPECT_EQ(packets(other_bits | 0x33), "2\n");
    EXPECT_EQ(packets(0x33), "1\n");
    EXPECT_EQ(arrived().size(), 6u);
}

TEST_F(NfqueueTest, ABatchTakesTwoSystemCalls) {
    const auto transport = open({.batch = 64});
    ASSERT_TRUE(transport);
    const std::uint64_t before = transport->stats().system_calls;
    send(64 * 15);
    for (int i = 0; i < 15; ++i) {
        const auto events = receive(*transport);
        ASSERT_EQ(events.size(), 64u);
        std::vector<Verdict> verdicts;
        for (const FlowEvent& event : events) verdicts.push_back({.id = event.id});
        ASSERT_TRUE(transport->send(verdicts));
    }
    EXPECT_EQ(transport->stats().system_calls - before, 30u);
    EXPECT_EQ(transport->stats().batches, 15u);
    EXPECT_EQ(arrived().size(), 960u);
}

TEST_F(NfqueueTest, NeitherReceivingNorSendingAllocates) {
    const auto transport = open();
    ASSERT_TRUE(transport);
    send(640);
    std::array<Verdict, 64> verdicts;
    unsigned seen = 0;
    const std::uint64_t before = allocations();
    for (;;) {
        const auto events = transport->receive();
        if (!events || events->empty()) break;
        for (std::size_t i = 0; i < events->size(); ++i) verdicts[i].id = (*events)[i].id;
        if (!transport->send({verdicts.data(), events->size()})) break;
        seen += static_cast<unsigned>(events->size());
    }
    EXPECT_EQ(allocations() - before, 0u);
    const std::uint64_t counted = allocations();
    const std::vector<Verdict> control(7);
    EXPECT_GT(allocations(), counted) << "nothing is counted at all";
    EXPECT_EQ(seen, 640u);
}

TEST_F(NfqueueTest, MoreThanTheSocketHoldsIsLetThroughAndCounted) {
    const auto transport = open({.receive_bytes = 65536});
    ASSERT_TRUE(transport);
    send(2000);
    const std::size_t let_through = arrived().size();
    EXPECT_GT(let_through, 100u);
    EXPECT_LT(let_through, 2000u);
    accept_all(*transport);
    send(1);  // its number tells how many were missed
    accept_all(*transport);
    EXPECT_GE(transport->overruns(), 1u);
    EXPECT_EQ(transport->stats().lost, let_through) << "every loss is counted, once";
    EXPECT_EQ(transport->stats().received + transport->stats().lost, 2001u);
    EXPECT_EQ(let_through + arrived().size(), 2001u) << "none was dropped";
}

TEST_F(NfqueueTest, WithoutFailOpenWhatFindsNoRoomIsDropped) {
    const auto transport = open({.receive_bytes = 65536, .fail_open = false});
    ASSERT_TRUE(transport);
    send(1000);
    EXPECT_TRUE(arrived().empty());
    accept_all(*transport);
    send(1);
    accept_all(*transport);
    const TransportStats stats = transport->stats();
    EXPECT_GT(stats.lost, 100u);
    EXPECT_EQ(arrived().size() + stats.lost, 1001u);
    EXPECT_EQ(kernel_says(6), stats.lost);
}

TEST_F(NfqueueTest, AFullQueueLetsThrough) {
    const auto transport = open({.max_length = 10});
    ASSERT_TRUE(transport);
    send(30);
    EXPECT_EQ(arrived().size(), 20u);
    accept_all(*transport);
    EXPECT_EQ(arrived().size(), 10u);
}

// As the daemon opens it: the socket is full before the queue, whose own losses nobody counts.
TEST_F(NfqueueTest, WhatFindsNoRoomIsCountedWhateverRoomThereIs) {
    for (const std::uint32_t room : {64u, 4096u}) {
        SCOPED_TRACE(room);
        NfqueueOptions options;
        options.make_room(room);
        const auto transport = open(options);
        ASSERT_TRUE(transport);
        send(3 * room);
        const std::size_t let_through = arrived().size();
        EXPECT_GT(3 * room - let_through, room / 2) << "less was held than shall be";
        EXPECT_LT(3 * room - let_through, room * 2) << "more was held than shall be";
        accept_all(*transport);
        send(1);
        accept_all(*transport);
        EXPECT_EQ(transport->stats().lost, let_through);
        EXPECT_EQ(let_through + arrived().size(), 3 * room + 1);
    }
}

TEST_F(NfqueueTest, WhatIsHeldWhenItClosesGetsTheFailPolicy) {
    for (const bool accept : {true, false}) {
        SCOPED_TRACE(accept);
        auto transport = open({.fail_open = accept});
        ASSERT_TRUE(transport);
        const std::uint32_t first = sent_;
        send(200);
        EXPECT_EQ(receive(*transport).size(), 64u) << "read, but not decided about";
        EXPECT_TRUE(arrived().empty());
        transport.reset();
        std::vector<std::uint32_t> all(200);
        std::iota(all.begin(), all.end(), first);
        EXPECT_EQ(arrived(), accept ? all : std::vector<std::uint32_t>{});
    }
}

TEST_F(NfqueueTest, AFullSocketIsNoObstacleToThat) {
    auto transport = open({.receive_bytes = 65536});
    ASSERT_TRUE(transport);
    send(1000);
    EXPECT_LT(arrived().size(), 1000u);
    transport.reset();
    send(1);
    // Those that were let through are read already.
    const auto last = arrived();
    ASSERT_GT(last.size(), 1u);
    EXPECT_EQ(last.front(), 0u);
    EXPECT_EQ(last.back(), 1000u);
}

TEST_F(NfqueueTest, WithoutAReaderPacketsGoOn) {
    send(5);
    EXPECT_EQ(arrived().size(), 5u);
    auto transport = open();
    ASSERT_TRUE(transport);
    send(5);
    EXPECT_TRUE(arrived().empty());
    transport.reset();
    send(5);
    EXPECT_EQ(arrived().size(), 10u);
}

TEST_F(NfqueueTest, StaleAndInventedVerdictsAreRefusedAndHarmless) {
    const auto transport = open();
    ASSERT_TRUE(transport);
    send(2);
    const auto events = receive(*transport);
    ASSERT_EQ(events.size(), 2u);
    const std::array<Verdict, 5> verdicts = {
        Verdict{.id = events[0].id}, Verdict{.id = events[0].id}, Verdict{.id = queue_event_id(4711, 0)},
        Verdict{.id = ~0ULL, .kind = SW_VERDICT_DROP}, Verdict{.id = events[1].id}};
    ASSERT_TRUE(transport->send(verdicts));
    EXPECT_TRUE(receive(*transport).empty());
    EXPECT_EQ(transport->stats().refused, 3u);
    EXPECT_EQ(arrived().size(), 2u);
}

TEST_F(NfqueueTest, ASecondReaderIsToldWhoIsInTheWay) {
    const auto first = open();
    ASSERT_TRUE(first);
    const auto second = NfqueueTransport::open({.queue = queue});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::busy);
    EXPECT_THAT(second.error().message, testing::HasSubstr("700"));
    send(1);
    EXPECT_EQ(receive(*first).size(), 1u) << "the first is not disturbed";
}

TEST_F(NfqueueTest, OptionsOutOfRangeAreRefused) {
    for (const NfqueueOptions& options :
         {NfqueueOptions{.batch = 0}, NfqueueOptions{.batch = 1025}, NfqueueOptions{.copy_bytes = 0},
          NfqueueOptions{.copy_bytes = 65535}, NfqueueOptions{.max_length = 0},
          NfqueueOptions{.receive_bytes = 0}}) {
        const auto transport = NfqueueTransport::open(options);
        ASSERT_FALSE(transport);
        EXPECT_EQ(transport.error().code, ErrorCode::usage);
    }
}

TEST_F(NfqueueTest, WithoutThePrivilegeItSaysSo) {
    // Capabilities are the thread's: one without them tries.
    std::optional<ErrorCode> opened, ruled;
    std::thread([&] {
        __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        std::array<__user_cap_data_struct, 2> none{};
        if (syscall(SYS_capset, &header, none.data())) return;
        if (const auto transport = NfqueueTransport::open({.queue = queue}); !transport)
            opened = transport.error().code;
        if (const auto rule = install_queue_rule({1, 1}); !rule) ruled = rule.error().code;
    }).join();
    EXPECT_EQ(opened, ErrorCode::privilege);
    EXPECT_EQ(ruled, ErrorCode::privilege);
}

TEST_F(NfqueueTest, AutomaticMeansNfqueueWhereTheModuleIsNotLoaded) {
    TransportOptions options{.first_queue = queue};
    options.ring.device = "/dev/synward-that-is-not-there";
    const auto opened = open_transport(TransportChoice::automatic, 0, 1, options);
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->transport->name(), "nfqueue");
    EXPECT_THAT(opened->why, testing::HasSubstr("not loaded"));
    send(1);
    pollfd waiting{.fd = opened->transport->fd(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&waiting, 1, 1000), 1);
    EXPECT_EQ(opened->transport->receive()->size(), 1u);
}

TEST_F(NfqueueTest, AutomaticMeansNfqueueWhereTheModuleSpeaksAnotherVersion) {
    TransportOptions options{.first_queue = queue};
    options.ring.device = "/dev/null";
    const bool tried = with_failing_ioctl(EPROTO, [&] {
        const auto opened = open_transport(TransportChoice::automatic, 0, 1, options);
        ASSERT_TRUE(opened) << opened.error().message;
        EXPECT_EQ(opened->transport->name(), "nfqueue");
        EXPECT_THAT(opened->why, testing::StartsWith("nfqueue: /dev/null speaks another version"));
        const auto ring = open_transport(TransportChoice::ring, 0, 1, options);
        ASSERT_FALSE(ring) << "nobody wanted that";
        EXPECT_EQ(ring.error().code, ErrorCode::mismatch);
    });
    if (!tried) GTEST_SKIP() << "the kernel has no seccomp";
}

TEST_F(NfqueueTest, EachCpuHasItsQueue) {
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) GTEST_SKIP() << "one CPU only";
    const auto installed = install_queue_rule({queue, queue + 1});
    ASSERT_TRUE(installed);
    const auto first = open();
    auto second = NfqueueTransport::open({.queue = queue + 1});
    ASSERT_TRUE(first && second);
    for (const unsigned cpu : {0u, 1u}) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        send(10 + cpu);
    }
    cpu_set_t all;
    CPU_ZERO(&all);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &all);
    (void)sched_setaffinity(0, sizeof all, &all);
    EXPECT_EQ(receive(*first).size(), 10u);
    EXPECT_EQ(receive(**second).size(), 11u);
}

}  // namespace
}  // namespace synward
