// SPDX-License-Identifier: GPL-2.0-or-later
// A worker on a transport that feeds it recorded events and keeps its verdicts.
// The real transports have tests of their own (tests/unit, tests/net/escalate.test).
#include "daemon/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>

#include "lib/decide/trace.h"
#include "tests/cli/eventually.h"
#include "tests/unit/allocations.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// What transport and test share; outlives the transport, which the worker owns.
struct Feed {
    Feed() {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) std::abort();
        reader = Descriptor(pair[0]);
        writer = Descriptor(pair[1]);
    }
    // The worker's next receive() gives `batch`.
    void give(std::vector<FlowEvent> batch) {
        const std::lock_guard lock(mutex);
        batches.push_back(std::move(batch));
        wake();
    }
    void wake() {
        if (write(writer.get(), "x", 1) != 1) ADD_FAILURE() << "the worker's descriptor is full";
    }
    std::uint64_t verdicts() {
        const std::lock_guard lock(mutex);
        return verdict_count;
    }

    std::mutex mutex;
    Descriptor reader, writer;
    std::vector<std::vector<FlowEvent>> batches;
    std::map<std::uint64_t, std::vector<Verdict>> given;  // by id
    std::uint64_t verdict_count = 0;
    std::uint64_t batch_count = 0;
    std::uint64_t allocated = 0;  // between a receive() and its send()
    bool endless = false;         // the last batch again and again
    std::optional<Error> receive_error, send_error;
    std::atomic<bool> destroyed{false};
};

class FeedTransport : public Transport {
  public:
    explicit FeedTransport(Feed& feed) : feed_(feed) {}
    ~FeedTransport() override { feed_.destroyed = true; }

    [[nodiscard]] int fd() const override { return feed_.reader.get(); }
    [[nodiscard]] Result<std::span<const FlowEvent>> receive() override {
        const std::lock_guard lock(feed_.mutex);
        char ignored = 0;
        if (!feed_.endless) (void)!read(feed_.reader.get(), &ignored, 1);
        if (feed_.receive_error) return tl::unexpected(*feed_.receive_error);
        if (feed_.batches.empty()) return std::span<const FlowEvent>{};
        current_ = feed_.endless ? feed_.batches.front() : std::move(feed_.batches.front());
        if (!feed_.endless) feed_.batches.erase(feed_.batches.begin());
        before_ = allocations();
        return std::span<const FlowEvent>(current_);
    }
    Result<void> send(std::span<const Verdict> verdicts) override {
        const std::uint64_t allocated = allocations() - before_;
        const std::lock_guard lock(feed_.mutex);
        feed_.allocated += allocated;
        feed_.verdict_count += verdicts.size();
        ++feed_.batch_count;
        if (feed_.send_error) return tl::unexpected(*feed_.send_error);
        if (!feed_.endless)
            for (const Verdict& verdict : verdicts) feed_.given[verdict.id].push_back(verdict);
        return {};
    }
    [[nodiscard]] TransportStats stats() const override { return {}; }
    [[nodiscard]] std::string_view name() const override { return "feed"; }

  private:
    Feed& feed_;
    std::vector<FlowEvent> current_;
    std::uint64_t before_ = 0;
};

class WorkerTest : public testing::Test {
  protected:
    WorkerTest() {
        CompiledPolicy policy;
        policy.ports[443] = 3;
        policy.services[0].escalate_default = SW_ACTION_DROP;
        policy.services[3].escalate_default = SW_ACTION_DROP;
        EXPECT_TRUE(shared_.services.load(policy));
    }
    Worker& start(Recorder* recorder = nullptr) {
        auto worker = Worker::start(0, std::make_unique<FeedTransport>(feed), config_, shared_, keys_,
                                    notify_.get(), recorder);
        EXPECT_TRUE(worker) << worker.error().message;
        worker_ = std::move(*worker);
        return *worker_;
    }
    static std::vector<FlowEvent> trace(const std::string& name) {
        const std::string path = std::string(SYNWARD_TRACES "/") + name;
        std::ostringstream text;
        text << std::ifstream(path).rdbuf();
        auto events = parse_trace(text.str(), path);
        EXPECT_TRUE(events) << events.error().message;
        return events.value_or(std::vector<FlowEvent>{});
    }
    // A SYN of an unknown shape, to service 3, from a source of its own.
    static FlowEvent odd_syn(std::uint64_t id, std::uint64_t layout) {
        FlowEvent event;
        event.id = id;
        event.kind = EventKind::syn;
        event.reason = SW_REASON_SYN_ODD;
        event.source = {static_cast<std::uint32_t>(id * 2654435761u), 0, 0, 0};
        event.destination_port = 443;
        event.shape = {.layout = layout, .header = 40, .hops = 64, .wscale = 7, .family = SW_IPV4, .pad = 0};
        return event;
    }
    bool notified() const {
        pollfd waiting{.fd = notify_.get(), .events = POLLIN, .revents = 0};
        return poll(&waiting, 1, 20'000) == 1;
    }

    Feed feed;
    DecideConfig config_;
    KeySource keys_ = *KeySource::random();
    DecideShared shared_{config_, keys_};
    Descriptor notify_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    std::unique_ptr<Worker> worker_;
};

TEST_F(WorkerTest, EveryEventGetsOneVerdict) {
    Worker& worker = start();
    std::uint64_t expected = 0;
    std::size_t total = 0;
    for (const char* name : {"spoofed-stray-flood.trace", "odd-syn-flood.trace", "nat-many-clients.trace"}) {
        std::vector<FlowEvent> batch;
        for (FlowEvent event : trace(name)) {
            // Handshakes and shapes are the control thread's; here nobody waits for an answer to them.
            if (event.kind == EventKind::handshake || event.kind == EventKind::shape) continue;
            event.id = total % 10 == 9 ? 0 : ++expected;  // 0: seen, but nobody waits
            ++total;
            batch.push_back(event);
            if (batch.size() < 1 + total % 300) continue;
            feed.give(std::move(batch));
            batch.clear();
        }
        if (!batch.empty()) feed.give(std::move(batch));
    }
    ASSERT_GT(expected, 1000u);
    ASSERT_TRUE(eventually([&] { return feed.verdicts() >= expected; })) << feed.verdicts();
    const std::lock_guard lock(feed.mutex);
    EXPECT_EQ(feed.verdict_count, expected);
    EXPECT_EQ(feed.given.size(), expected);
    for (const auto& [id, verdicts] : feed.given) {
        EXPECT_NE(id, 0u);
        ASSERT_EQ(verdicts.size(), 1u) << "id " << id;
        EXPECT_TRUE(verdicts[0].kind == SW_VERDICT_ACCEPT || verdicts[0].kind == SW_VERDICT_DROP);
        // An accepted packet must not come up again.
        if (verdicts[0].kind == SW_VERDICT_ACCEPT) {
            EXPECT_EQ(verdicts[0].mask & SW_MARK_ESCALATE_MASK, SW_MARK_ESCALATE_MASK);
        }
    }
    std::uint64_t decided = 0;
    for (unsigned i = 0; i < static_cast<unsigned>(DecisionReason::count); ++i)
        decided += worker.chain().count(static_cast<DecisionReason>(i));
    EXPECT_EQ(decided, total);
    EXPECT_EQ(worker.failure(), "");
}

TEST_F(WorkerTest, ActionsReachTheControlThread) {
    Worker& worker = start();
    std::vector<FlowEvent> batch;
    for (std::uint64_t i = 1; i <= 100; ++i) batch.push_back(odd_syn(i, 0x2010101));
    feed.give(batch);
    ASSERT_TRUE(notified());
    ASSERT_TRUE(eventually([&] { return feed.verdicts() == 100; }));
    WantedAction wanted;
    unsigned tickets = 0, reports = 0;
    while (worker.actions().pop(wanted)) {
        if (wanted.action.kind == Action::Kind::ticket) {
            ++tickets;
            EXPECT_EQ(wanted.action.key.doubt, SW_DOUBT_SHAPE);
            EXPECT_EQ(wanted.action.key.service, 3);
            EXPECT_EQ(wanted.action.ticket_action, SW_ACTION_DROP);
            EXPECT_EQ(wanted.action.lifetime_ms, config_.shape_drop.count());
        }
        reports += wanted.action.kind == Action::Kind::report;
        EXPECT_EQ(wanted.decider, DeciderId::shape);
        EXPECT_EQ(wanted.reason, DecisionReason::shape_flood);
        EXPECT_EQ(wanted.kind, EventKind::syn);
        EXPECT_EQ(wanted.service, 3);
        EXPECT_TRUE(wanted.dropped);
        EXPECT_FALSE(wanted.dry);
    }
    EXPECT_EQ(tickets, 1u) << "one for the shape, not one a packet";
    EXPECT_EQ(reports, 1u);
}

TEST_F(WorkerTest, ClosedItHasLetGoOfItsPacketsAndStillHasItsActions) {
    Worker& worker = start();
    std::vector<FlowEvent> batch;
    for (std::uint64_t i = 1; i <= 100; ++i) batch.push_back(odd_syn(i, 0x2010101));
    feed.give(batch);
    ASSERT_TRUE(eventually([&] { return feed.verdicts() == 100; }));
    worker.close();
    EXPECT_TRUE(feed.destroyed);
    WantedAction wanted;
    unsigned actions = 0;
    while (worker.actions().pop(wanted)) ++actions;
    EXPECT_EQ(actions, 2u) << "ticket and report";
    worker.close();
}

TEST_F(WorkerTest, ADryRunOnlyTells) {
    config_.dry_run = true;
    Worker& worker = start();
    std::vector<FlowEvent> batch;
    for (std::uint64_t i = 1; i <= 100; ++i) batch.push_back(odd_syn(i, 0x2010101));
    feed.give(batch);
    ASSERT_TRUE(eventually([&] { return feed.verdicts() == 100; }));
    WantedAction wanted;
    ASSERT_TRUE(worker.actions().pop(wanted)) << "of the ticket that there would have been";
    EXPECT_EQ(wanted.action.kind, Action::Kind::report);
    EXPECT_EQ(wanted.reason, DecisionReason::shape_flood);
    EXPECT_TRUE(wanted.dry);
    EXPECT_TRUE(wanted.dropped) << "would have been";
    EXPECT_FALSE(worker.actions().pop(wanted));
    EXPECT_GT(worker.chain().count(DecisionReason::shape_flood), 0u) << "but it decides";
}

// A control thread that does not come: the worker goes on, what is lost is counted.
TEST_F(WorkerTest, ActionsThatNobodyTakesAreCounted) {
    Worker& worker = start();
    std::uint64_t id = 0;
    for (unsigned shape = 1; shape <= 3000; ++shape) {
        std::vector<FlowEvent> batch;
        for (int i = 0; i < 25; ++i) batch.push_back(odd_syn(++id, shape));
        feed.give(std::move(batch));
        if (shape % 100) continue;
        ASSERT_TRUE(eventually([&] { return feed.verdicts() == id; }));
    }
    // A ticket and a report for each shape: more than the queue holds.
    EXPECT_GT(worker.actions().lost(), 0u);
    std::uint64_t taken = 0;
    WantedAction wanted;
    while (worker.actions().pop(wanted)) ++taken;
    EXPECT_EQ(taken, ActionQueue::size);
    EXPECT_EQ(worker.failure(), "");
}

TEST_F(WorkerTest, NothingIsAllocatedBetweenReceivingAndSending) {
    start();
    std::uint64_t id = 0;
    for (int round = 0; round < 50; ++round) {
        std::vector<FlowEvent> batch;
        for (unsigned i = 0; i < 1024; ++i) batch.push_back(odd_syn(++id, i % 2 ? i : 0x2010101));
        for (const FlowEvent& event : trace("spoofed-stray-flood.trace")) {
            batch.push_back(event);
            batch.back().id = ++id;
        }
        feed.give(std::move(batch));
    }
    ASSERT_TRUE(eventually([&] { return feed.verdicts() == id; }));
    EXPECT_EQ(feed.allocated, 0u);
    const std::uint64_t before = allocations();
    const std::vector<int> control(7);
    EXPECT_GT(allocations(), before) << "nothing is counted at all";
}

TEST_F(WorkerTest, WhatItDecidesIsRecorded) {
    const std::string file = testing::TempDir() + "worker-" + std::to_string(getpid()) + ".trace";
    auto recorder = Recorder::start({.file = file});
    ASSERT_TRUE(recorder) << recorder.error().message;
    start(recorder->get());
    std::uint64_t id = 0;
    for (int round = 0; round < 10; ++round) {
        std::vector<FlowEvent> batch;
        for (unsigned i = 0; i < 100; ++i) batch.push_back(odd_syn(++id, 0x2010101));
        feed.give(std::move(batch));
    }
    ASSERT_TRUE(eventually([&] { return feed.verdicts() == id; }));
    worker_->close();
    recorder->reset();
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    std::filesystem::remove(file);
    const auto entries = parse_recording(text.str(), file);
    ASSERT_TRUE(entries) << entries.error().message;
    ASSERT_EQ(entries->size(), id) << "from the first to the last";
    // Nobody else decides here, so that the order is that of the packets.
    for (std::size_t i = 0; i < entries->size(); ++i) {
        const TraceEntry& entry = (*entries)[i];
        EXPECT_EQ(entry.event.source, odd_syn(i + 1, 0).source);
        ASSERT_TRUE(entry.decided);
        const std::vector<Verdict>& given = feed.given[i + 1];
        ASSERT_EQ(given.size(), 1u);
        EXPECT_EQ(entry.decided->verdict, given[0].kind);
    }
}

TEST_F(WorkerTest, StopsWhileItWaits) {
    start();
    const auto start_time = std::chrono::steady_clock::now();
    worker_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start_time, 5s);
    EXPECT_TRUE(feed.destroyed) << "the transport goes with it: what it held gets the fail policy";
}

TEST_F(WorkerTest, StopsUnderAFloodThatNeverEnds) {
    feed.endless = true;
    std::vector<FlowEvent> batch;
    for (std::uint64_t i = 1; i <= 64; ++i) batch.push_back(odd_syn(i, i));
    feed.give(std::move(batch));
    start();
    ASSERT_TRUE(eventually([&] { return feed.verdicts() > 6400; }));
    const auto start_time = std::chrono::steady_clock::now();
    worker_.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - start_time, 5s);
}

TEST_F(WorkerTest, AFailureOfReceiveIsToldOnce) {
    feed.receive_error = Error{"the queue was taken away", ErrorCode::system};
    Worker& worker = start();
    EXPECT_EQ(worker.failure(), "");
    feed.wake();
    ASSERT_TRUE(notified());
    EXPECT_EQ(worker.failure(), "the queue was taken away");
    EXPECT_EQ(feed.verdicts(), 0u);
    worker_.reset();  // joins a thread that has ended
}

TEST_F(WorkerTest, AFailureOfSendEndsIt) {
    feed.send_error = Error{"cannot send verdicts", ErrorCode::system};
    Worker& worker = start();
    feed.give({odd_syn(1, 1)});
    ASSERT_TRUE(notified());
    ASSERT_TRUE(eventually([&] { return !worker.failure().empty(); }));
    EXPECT_EQ(worker.failure(), "cannot send verdicts");
    feed.give({odd_syn(2, 1)});
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(feed.verdicts(), 1u) << "it has ended";
}

TEST_F(WorkerTest, ATransportThatHangsUpEndsIt) {
    Worker& worker = start();
    feed.writer = Descriptor();
    ASSERT_TRUE(notified());
    ASSERT_TRUE(eventually([&] { return !worker.failure().empty(); }));
    EXPECT_THAT(worker.failure(), HasSubstr("taken away"));
}

// Two workers share what was learned, and each answers its own packets.
TEST_F(WorkerTest, TwoAtOnce) {
    Feed other;
    start();
    auto second =
        Worker::start(1, std::make_unique<FeedTransport>(other), config_, shared_, keys_, notify_.get());
    ASSERT_TRUE(second);
    constexpr std::uint64_t rounds = 100, size = 100;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        std::vector<FlowEvent> batch;
        for (std::uint64_t i = 1; i <= size; ++i) batch.push_back(odd_syn(round * size + i, i));
        feed.give(batch);
        other.give(batch);
    }
    ASSERT_TRUE(
        eventually([&] { return feed.verdicts() == rounds * size && other.verdicts() == rounds * size; }));
}

}  // namespace
}  // namespace synward
