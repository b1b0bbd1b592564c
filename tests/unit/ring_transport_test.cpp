// SPDX-License-Identifier: GPL-2.0-or-later
// The ring's reader against a ring that this test writes itself: memory of a
// memfd, and a socket that keeps the boundaries of write(2) in the device's place.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <numeric>
#include <random>

#include "allocations.h"
#include "failing_ioctl.h"
#include "lib/escalation/ring.h"
#include "user_ring.h"

namespace synward {
namespace {

constexpr std::uint32_t stray = SW_MARK_ESCALATE | SW_REASON_STRAY_ACK << SW_MARK_REASON_SHIFT;

std::vector<std::uint8_t> segment(std::uint16_t port) {
    std::vector<std::uint8_t> packet = {0x45, 0, 0,   40, 0,    1,    0,    0,    64, 6,    0, 0, 198, 18,
                                        0,    1, 192, 0,  2,    1,    0,    0,    1,  0xbb, 1, 1, 1,   1,
                                        2,    2, 2,   2,  0x50, 0x10, 0x10, 0x00, 0,  0,    0, 0};
    packet[20] = static_cast<std::uint8_t>(port >> 8);
    packet[21] = static_cast<std::uint8_t>(port);
    return packet;
}

class RingTransportTest : public testing::Test {
  protected:
    void start(unsigned shift, RingOptions options = {}, std::uint64_t first = 0,
               std::uint32_t frame_bytes = 128) {
        const std::size_t bytes = UserRing::bytes(shift, frame_bytes);
        file_ = Descriptor(memfd_create("ring", MFD_CLOEXEC));
        ASSERT_EQ(ftruncate(file_.get(), static_cast<off_t>(bytes)), 0);
        memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
        ASSERT_NE(memory_, MAP_FAILED);
        bytes_ = bytes;
        ring_.emplace(memory_, shift, frame_bytes, first);
        std::array<int, 2> ends{};
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
        device_ = Descriptor(ends[1]);
        open(Descriptor(ends[0]), options);
    }
    void open(Descriptor fd, const RingOptions& options) {
        auto map = Mapping::of(file_.get(), bytes_);
        ASSERT_TRUE(map);
        auto transport = RingTransport::over(std::move(fd), std::move(*map), options);
        ASSERT_TRUE(transport) << transport.error().message;
        transport_ = std::move(*transport);
    }
    ~RingTransportTest() override {
        if (memory_) munmap(memory_, bytes_);
    }

    std::span<const FlowEvent> receive() {
        const auto events = transport_->receive();
        EXPECT_TRUE(events);
        return events.value_or(std::span<const FlowEvent>{});
    }
    // One write() of the transport, as the device gets it; empty: there was none.
    std::vector<sw_verdict> written() {
        std::vector<sw_verdict> verdicts(8192);
        const ssize_t got =
            recv(device_.get(), verdicts.data(), verdicts.size() * sizeof(sw_verdict), MSG_DONTWAIT);
        verdicts.resize(got > 0 ? static_cast<std::size_t>(got) / sizeof(sw_verdict) : 0);
        return verdicts;
    }

    Descriptor file_, device_;
    void* memory_ = nullptr;
    std::size_t bytes_ = 0;
    std::optional<UserRing> ring_;
    std::unique_ptr<RingTransport> transport_;
};

TEST_F(RingTransportTest, AFrameBecomesAnEvent) {
    start(3);
    ASSERT_TRUE(ring_->publish(segment(40000), stray | 0x1));
    const auto events = receive();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_NE(events[0].id, 0u);
    EXPECT_EQ(events[0].kind, EventKind::stray);
    EXPECT_EQ(events[0].reason, SW_REASON_STRAY_ACK);
    EXPECT_EQ(events[0].mark, stray | 0x1);
    EXPECT_EQ(events[0].ifindex, 2u);
    EXPECT_EQ(events[0].length, 40u);
    EXPECT_EQ(events[0].source_port, 40000);
    EXPECT_EQ(events[0].destination_port, 443);
    EXPECT_EQ(events[0].source[0], htonl(0xc6120001));
    EXPECT_TRUE(receive().empty());
    const TransportStats stats = transport_->stats();
    EXPECT_EQ(stats.received, 1u);
    EXPECT_EQ(stats.batches, 1u);
    EXPECT_EQ(stats.system_calls, 0u) << "reading a ring takes none";
}

TEST_F(RingTransportTest, ABatchOfDifferentVerdictsIsOneWrite) {
    start(3);
    for (std::uint16_t port = 1; port <= 4; ++port) ring_->publish(segment(port), stray);
    std::vector<Verdict> verdicts;
    for (const FlowEvent& event : receive())
        verdicts.push_back({.id = event.id,
                            .kind = event.source_port % 2 ? SW_VERDICT_ACCEPT : SW_VERDICT_DROP,
                            .mark = event.source_port,
                            .mask = 0xff});
    ASSERT_TRUE(transport_->send(verdicts));
    const auto array = written();
    ASSERT_EQ(array.size(), 4u);
    EXPECT_TRUE(written().empty());
    std::vector<std::uint64_t> decided;
    ring_->apply(array, [&](std::uint64_t sequence, const sw_verdict& verdict) {
        decided.push_back(sequence);
        EXPECT_EQ(verdict.verdict, (sequence + 1) % 2 ? SW_VERDICT_ACCEPT : SW_VERDICT_DROP);
        EXPECT_EQ(verdict.mark, sequence + 1);
        EXPECT_EQ(verdict.mask, 0xffu);
    });
    EXPECT_EQ(decided, (std::vector<std::uint64_t>{0, 1, 2, 3}));
    EXPECT_EQ(transport_->stats().system_calls, 1u);
    EXPECT_EQ(transport_->stats().verdicts, 4u);
}

TEST_F(RingTransportTest, BatchesAreBounded) {
    start(4, {.batch = 3});
    for (std::uint16_t port = 1; port <= 7; ++port) ring_->publish(segment(port), stray);
    EXPECT_EQ(receive().size(), 3u);
    const auto second = receive();
    ASSERT_EQ(second.size(), 3u);
    EXPECT_EQ(second[0].source_port, 4);
    EXPECT_EQ(receive().size(), 1u);
    // More verdicts than fit are written by parts.
    ASSERT_TRUE(transport_->send(std::vector<Verdict>(7, Verdict{.id = ring_event_id(1, 1)})));
    EXPECT_EQ(written().size(), 3u);
    EXPECT_EQ(written().size(), 3u);
    EXPECT_EQ(written().size(), 1u);
    EXPECT_EQ(transport_->stats().verdicts, 7u);
}

TEST_F(RingTransportTest, EventsThatNobodyWaitsForGetNoVerdict) {
    start(3);
    const std::vector<Verdict> verdicts(5);
    ASSERT_TRUE(transport_->send(verdicts));
    ASSERT_TRUE(transport_->send({}));
    EXPECT_TRUE(written().empty());
    EXPECT_EQ(transport_->stats().system_calls, 0u);
}

TEST_F(RingTransportTest, CopiesAreGivenBackByTheBatch) {
    start(2, {.mode = SW_RING_COPY, .batch = 8});
    for (int round = 0; round < 3; ++round) {
        for (std::uint16_t port = 1; port <= 4; ++port) ASSERT_TRUE(ring_->publish(segment(port), stray));
        const auto events = receive();
        ASSERT_EQ(events.size(), 4u);
        for (const FlowEvent& event : events) EXPECT_EQ(event.id, 0u);
        const auto array = written();
        ASSERT_EQ(array.size(), 1u);
        EXPECT_EQ(array[0].verdict, SW_VERDICT_SEEN);
        unsigned freed = 0;
        ring_->apply(array, [&](std::uint64_t, const sw_verdict&) { ++freed; });
        EXPECT_EQ(freed, 4u);
    }
    EXPECT_EQ(ring_->stale, 0u);
}

TEST_F(RingTransportTest, AFrameTakenAwayIsTornAndTheNextOneIsRead) {
    start(1);
    ring_->publish(segment(1), stray, 10);
    ring_->publish(segment(2), stray, 10);
    EXPECT_EQ(ring_->expire(10), 2u);
    ring_->publish(segment(3), stray);
    const auto events = receive();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].source_port, 2)
        << "past its deadline, but its frame is whole: the verdict will be stale";
    EXPECT_EQ(events[1].source_port, 3);
    EXPECT_EQ(transport_->stats().torn, 1u);
    // While the kernel writes, a frame has the number 0.
    ring_->publish(segment(4), stray);
    ring_->frame(3)->sequence = 0;
    EXPECT_TRUE(receive().empty());
    EXPECT_EQ(transport_->stats().torn, 2u);
}

TEST_F(RingTransportTest, AReaderThatSleptFindsTheNewestFrames) {
    start(2);
    for (std::uint16_t port = 1; port <= 40; ++port) {
        ring_->publish(segment(port), stray, 10);
        ring_->expire(10);
    }
    const auto events = receive();
    ASSERT_EQ(events.size(), 4u);
    EXPECT_EQ(events[0].source_port, 37);
    EXPECT_EQ(events[3].source_port, 40);
    EXPECT_EQ(transport_->stats().torn, 36u);
}

TEST_F(RingTransportTest, LossIsTheKernelsFigure) {
    start(1);
    for (int i = 0; i < 5; ++i) ring_->publish(segment(1), stray);
    EXPECT_EQ(receive().size(), 2u);
    EXPECT_EQ(transport_->stats().lost, 3u);
}

TEST_F(RingTransportTest, AHeadThatGoesBackwardsIsNotFollowed) {
    start(3, {}, 100);
    ring_->header()->head = 50;
    EXPECT_TRUE(receive().empty());
    ring_->header()->head = 100;
    ring_->publish(segment(1), stray);
    EXPECT_EQ(receive().size(), 1u);
}

TEST_F(RingTransportTest, WhatAFrameClaimsIsNotBelieved) {
    start(1, {}, 0, 128);
    ring_->publish(segment(1), stray);
    sw_frame* frame = ring_->frame(0);
    frame->captured = 0xffff;
    frame->length = ~0u;
    frame->reason = 0xff;
    frame->slot = ~0u;
    frame->family = 0xff;
    const auto events = receive();
    ASSERT_EQ(events.size(), 1u);
    EXPECT_EQ(events[0].kind, EventKind::other);
    EXPECT_EQ(events[0].destination_port, 443);
}

TEST_F(RingTransportTest, AMapThatIsNoRingIsRefused) {
    start(2);
    const auto refused = [&](auto change) {
        const sw_ring_header before = *ring_->header();
        change(*ring_->header());
        auto transport = RingTransport::over(Descriptor(), std::move(*Mapping::of(file_.get(), bytes_)), {});
        *ring_->header() = before;
        return !transport && transport.error().code == ErrorCode::mismatch;
    };
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.abi = SW_RING_ABI + 1; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.slots = 3; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.slots = 0; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.slots = 8; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.frame_bytes = 1 << 31; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.frames_offset = 0xffffffc0; }));
    EXPECT_TRUE(refused([](sw_ring_header& h) { h.frames_offset = 0; }));
    EXPECT_FALSE(refused([](sw_ring_header&) {}));
}

TEST_F(RingTransportTest, AWriteThatFailsIsToldWithItsReason) {
    start(2);
    device_.reset();
    const Verdict verdict{.id = ring_event_id(0, 1)};
    signal(SIGPIPE, SIG_IGN);
    const auto sent = transport_->send({&verdict, 1});
    ASSERT_FALSE(sent);
    EXPECT_NE(sent.error().message.find("verdicts"), std::string::npos);
    EXPECT_EQ(transport_->stats().verdicts, 0u);
}

TEST_F(RingTransportTest, NeitherReceivingNorSendingAllocates) {
    start(8, {.batch = 128});
    std::vector<Verdict> verdicts(128);
    const auto packet = segment(7);
    std::uint64_t asked = 0;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 128; ++i) ring_->publish(packet, stray);
        const std::uint64_t before = allocations();
        const auto events = transport_->receive();
        for (std::size_t i = 0; i < events->size(); ++i) verdicts[i].id = (*events)[i].id;
        (void)transport_->send({verdicts.data(), events->size()});
        asked += allocations() - before;
        ring_->apply(written(), [](std::uint64_t, const sw_verdict&) {});
    }
    EXPECT_EQ(transport_->stats().verdicts, 128u * 20);
    EXPECT_EQ(asked, 0u);
    const std::uint64_t counted = allocations();
    const std::vector<Verdict> control(7);
    EXPECT_GT(allocations(), counted) << "nothing is counted at all";
    EXPECT_EQ(transport_->stats().system_calls, 20u);
}

// Random publishing, reading, answering and expiring, from where the numbers
// begin: whatever is read is a packet that was published, in order and once.
class RingTransportProperty : public RingTransportTest, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(RingTransportProperty, EveryPacketIsReadOnceInOrderAndDecidedOnce) {
    start(4, {.batch = 5}, GetParam());
    std::mt19937 random(static_cast<unsigned>(GetParam() >> 7) + 1);
    std::vector<Verdict> pending;
    std::vector<std::uint64_t> decided;
    std::uint16_t published = 0;
    unsigned read = 0, last = 0, expired = 0;
    for (int step = 0; step < 20000; ++step) {
        switch (random() % 4) {
            case 0:
            case 1:
                if (published < 60000 && ring_->publish(segment(static_cast<std::uint16_t>(published + 1)),
                                                        stray, static_cast<std::uint64_t>(step) + 25))
                    ++published;
                break;
            case 2:
                for (const FlowEvent& event : receive()) {
                    ASSERT_GT(event.source_port, last);
                    last = event.source_port;
                    ++read;
                    pending.push_back({.id = event.id, .mark = event.source_port});
                }
                break;
            default: {
                const std::size_t count = pending.empty() ? 0 : random() % (pending.size() + 1);
                ASSERT_TRUE(transport_->send({pending.data(), count}));
                pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(count));
                for (auto array = written(); !array.empty(); array = written())
                    ring_->apply(array, [&](std::uint64_t sequence, const sw_verdict& verdict) {
                        EXPECT_EQ(sequence - GetParam() + 1, verdict.mark) << "a verdict for another packet";
                        decided.push_back(sequence);
                    });
                if (random() % 8 == 0) expired += ring_->expire(step);
            }
        }
    }
    EXPECT_GT(published, 1000);
    EXPECT_TRUE(std::ranges::is_sorted(decided));
    EXPECT_EQ(std::ranges::adjacent_find(decided), decided.end()) << "decided twice";
    for (auto events = receive(); !events.empty(); events = receive())
        read += static_cast<unsigned>(events.size());
    EXPECT_EQ(published, read + transport_->stats().torn) << "a packet was neither read nor counted";
    EXPECT_GT(expired, 0u);
}

INSTANTIATE_TEST_SUITE_P(FromWhereverItBegins, RingTransportProperty,
                         testing::Values(std::uint64_t{0}, (std::uint64_t{1} << 32) - 100,
                                         (std::uint64_t{1} << 36) - 100, ~std::uint64_t{0} - 70000));

TEST(RingTransportOpen, WithoutTheModuleItSaysWhatToDo) {
    const auto transport = RingTransport::open({.device = "/dev/synward-that-is-not-there"});
    ASSERT_FALSE(transport);
    EXPECT_EQ(transport.error().code, ErrorCode::missing);
    EXPECT_NE(transport.error().message.find("modprobe synward"), std::string::npos);
}

void expect_mismatch(const Result<std::unique_ptr<RingTransport>>& transport) {
    ASSERT_FALSE(transport);
    EXPECT_EQ(transport.error().code, ErrorCode::mismatch);
    EXPECT_EQ(transport.error().message,
              "/dev/null speaks another version of the ring's protocol than " + std::to_string(SW_RING_ABI) +
                  ": install module and daemon of one release, then 'rmmod synward; modprobe synward'");
}

TEST(RingTransportOpen, AnotherDeviceIsNoRing) {
    expect_mismatch(RingTransport::open({.device = "/dev/null"}));
}

TEST(RingTransportOpen, AModuleOfAnotherVersionIsToldAsSuch) {
    if (!with_failing_ioctl(EPROTO, [] { expect_mismatch(RingTransport::open({.device = "/dev/null"})); }))
        GTEST_SKIP() << "the kernel has no seccomp";
}

}  // namespace
}  // namespace synward
