// SPDX-License-Identifier: GPL-2.0-or-later
// What is written of decisions: whole, for its owner alone, within its bounds, and
// without a word of the thread that decides.
#include "daemon/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "lib/decide/trace_replay.h"
#include "tests/cli/eventually.h"
#include "tests/unit/allocations.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class RecorderTest : public testing::Test {
  protected:
    RecorderTest() {
        std::string made = (std::filesystem::temp_directory_path() / "recorder-XXXXXX").string();
        if (!mkdtemp(made.data())) std::abort();
        folder_ = made;
        config_.file = folder_ / "events.trace";
        policy_.ports[443] = 3;
        policy_.services[3].escalate_default = SW_ACTION_DROP;
        EXPECT_TRUE(shared_.services.load(policy_));
    }
    ~RecorderTest() override { std::filesystem::remove_all(folder_); }

    std::unique_ptr<Recorder> start() {
        auto made = Recorder::start(config_);
        EXPECT_TRUE(made) << (made ? "" : made.error().message);
        return made ? std::move(*made) : nullptr;
    }
    std::string refusal() {
        const auto made = Recorder::start(config_);
        return made ? "accepted" : made.error().message;
    }
    static std::string read(const std::filesystem::path& file) {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return text.str();
    }
    std::vector<TraceEntry> recorded() {
        auto entries = parse_recording(read(config_.file), "recorded");
        EXPECT_TRUE(entries) << (entries ? "" : entries.error().message);
        return entries ? *entries : std::vector<TraceEntry>{};
    }
    static FlowEvent stray(unsigned source) {
        FlowEvent event;
        event.id = source;
        event.kind = EventKind::stray;
        event.reason = SW_REASON_STRAY_ACK;
        event.source = {__builtin_bswap32(0xc6120000 + source), 0, 0, 0};
        event.destination = {__builtin_bswap32(0xcb007101), 0, 0, 0};
        event.source_port = 40000;
        event.destination_port = 443;
        event.protocol = 6;
        return event;
    }
    void decide(TraceQueue& queue, Chain& chain, const FlowEvent& event, std::uint64_t now) {
        chain.decide(event, now, decision_);
        if (queue.on()) queue.push(event, now, decision_, chain.flows_read(now));
    }

    static constexpr std::uint64_t begin = 1'000'000'000'000;
    std::filesystem::path folder_;
    RecordConfig config_;
    CompiledPolicy policy_;
    DecideConfig decide_;
    KeySource keys_{7};
    DecideShared shared_{decide_, keys_};
    Decision decision_;
};

TEST_F(RecorderTest, WhatIsRecordedIsDecidedTheSame) {
    Chain worker(decide_, shared_, keys_), observer(decide_, shared_, keys_);
    auto recorder = start();
    ASSERT_TRUE(recorder);
    const auto first = std::make_shared<TraceQueue>(), second = std::make_shared<TraceQueue>();
    recorder->add(first);
    recorder->add(second);
    std::uint64_t now = begin;
    for (unsigned i = 1; i <= 3000; i++) {
        now += 700'000;
        FlowEvent event = stray(i % 100);
        // Some prove themselves; the kernel's connections are read in the middle.
        if (i % 50 == 7) {
            event.kind = EventKind::handshake;
            event.reason = SW_REASON_NO_POLICY;
            decide(*second, observer, event, now);
            continue;
        }
        if (i == 1500) {
            shared_.flows.begin();
            shared_.flows.finish(now);
        }
        decide(*first, worker, event, now);
    }
    recorder.reset();
    const auto entries = recorded();
    ASSERT_EQ(entries.size(), 3000u);
    auto replay = TraceReplay::create(decide_, policy_);
    ASSERT_TRUE(replay);
    unsigned tickets = 0;
    for (const TraceEntry& entry : entries) {
        const auto again = replay->decide(entry);
        ASSERT_TRUE(again);
        if (!entry.decided) continue;
        ASSERT_EQ(*entry.decided, TracedDecision(**again)) << trace_line(entry);
        tickets += entry.decided->actions != 0;
    }
    EXPECT_GT(tickets, 0u);
}

TEST_F(RecorderTest, TheFileIsItsOwnersAlone) {
    const auto before = umask(0);
    const auto recorder = start();
    umask(before);
    struct stat about {};
    ASSERT_EQ(stat(config_.file.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_F(RecorderTest, TheFileStaysWithinItsLimit) {
    config_.limit = 10'000;
    auto recorder = start();
    ASSERT_TRUE(recorder);
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    recorder->add(queue);
    ASSERT_TRUE(queue->on());
    for (unsigned i = 0; i < 500; i++) decide(*queue, chain, stray(i), begin + i * 1'000'000);
    ASSERT_TRUE(eventually([&] { return recorder->status().full; }));
    EXPECT_FALSE(queue->on()) << "the worker need not write what nobody reads";
    EXPECT_EQ(recorder->status().problem, "");
    const auto another = std::make_shared<TraceQueue>();
    recorder->add(another);
    EXPECT_FALSE(another->on());
    const auto status = recorder->status();
    recorder.reset();
    EXPECT_LE(std::filesystem::file_size(config_.file), 10'000u);
    EXPECT_GT(std::filesystem::file_size(config_.file), 9'500u);
    EXPECT_EQ(std::filesystem::file_size(config_.file), status.bytes);
    EXPECT_EQ(recorded().size(), status.events) << "whole lines";
}

// As of a full disk, by the limit of this process.
TEST_F(RecorderTest, ADiskThatIsFullLeavesWholeLines) {
    auto recorder = start();
    ASSERT_TRUE(recorder);
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    recorder->add(queue);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{.rlim_cur = 5000, .rlim_max = before.rlim_max};
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (unsigned i = 0; i < 500; i++) decide(*queue, chain, stray(i), begin + i * 1'000'000);
    const bool ended = eventually([&] { return recorder->status().ended(); });
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, ignored);
    ASSERT_TRUE(ended);
    const auto status = recorder->status();
    EXPECT_THAT(status.problem, HasSubstr("cannot write to"));
    recorder.reset();
    EXPECT_THAT(read(config_.file), testing::EndsWith("\n"));
    EXPECT_GT(recorded().size(), 10u);
    EXPECT_EQ(recorded().size(), status.events);
    EXPECT_EQ(std::filesystem::file_size(config_.file), status.bytes);
}

TEST_F(RecorderTest, AFullDiskDoesNotCostTheRecordingBeforeIt) {
    auto recorder = start();
    ASSERT_TRUE(recorder);
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    recorder->add(queue);
    decide(*queue, chain, stray(1), begin);
    recorder.reset();
    const std::string kept = read(config_.file);
    ASSERT_EQ(recorded().size(), 1u);
    // What is left where nothing could be written, or little: no line, or no event.
    for (const std::string& next :
         {std::string(), std::string(trace_header) + "\n", std::string(trace_header) + "\n# now\n"}) {
        recorder = start();
        ASSERT_TRUE(recorder);
        recorder.reset();
        EXPECT_EQ(read(config_.file + ".old"), kept);
        std::ofstream(config_.file) << next;
    }
    recorder = start();
    EXPECT_EQ(read(config_.file + ".old"), kept);
}

TEST_F(RecorderTest, WhatFindsNoRoomIsCounted) {
    auto recorder = start();
    ASSERT_TRUE(recorder);
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    recorder->add(queue);
    constexpr unsigned count = 20 * TraceQueue::size;
    // Faster than anybody could decide.
    chain.decide(stray(1), begin, decision_);
    for (unsigned i = 0; i < count; i++) queue->push(stray(i), begin + i * 1000, decision_, false);
    ASSERT_TRUE(eventually([&] { return recorder->status().events + recorder->status().lost == count; }));
    EXPECT_GT(recorder->status().lost, 0u);
    const auto status = recorder->status();
    recorder.reset();
    EXPECT_EQ(recorded().size(), status.events);
    EXPECT_THAT(read(config_.file), HasSubstr("events of chain 0 are lost"));
}

TEST_F(RecorderTest, ToPushAllocatesNothing) {
    const auto recorder = start();
    ASSERT_TRUE(recorder);
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    // Nobody empties it: the recorder's own thread allocates.
    const std::uint64_t before = allocations();
    for (unsigned i = 0; i < 2 * TraceQueue::size; i++) {
        chain.decide(stray(i), begin + i * 1000, decision_);
        queue->push(stray(i), begin + i * 1000, decision_, false);
    }
    EXPECT_EQ(allocations(), before);
}

TEST_F(RecorderTest, AClosedQueueIsWrittenToItsEnd) {
    auto recorder = start();
    ASSERT_TRUE(recorder);
    std::weak_ptr<TraceQueue> gone;
    for (unsigned round = 0; round < 3; round++) {
        Chain chain(decide_, shared_, keys_);
        const auto queue = std::make_shared<TraceQueue>();
        gone = queue;
        recorder->add(queue);
        for (unsigned i = 0; i < 10; i++)
            decide(*queue, chain, stray(i), begin + (round * 10 + i) * 1'000'000'000ull);
        queue->close();
    }
    EXPECT_TRUE(eventually([&] { return gone.expired(); })) << "nor is it kept";
    recorder.reset();
    const auto entries = recorded();
    ASSERT_EQ(entries.size(), 30u);
    EXPECT_EQ(entries.front().chain, 0);
    EXPECT_EQ(entries.back().chain, 2) << "each chain begins anew";
}

TEST_F(RecorderTest, OffAndOnAgain) {
    Chain chain(decide_, shared_, keys_);
    const auto queue = std::make_shared<TraceQueue>();
    auto recorder = start();
    recorder->add(queue);
    decide(*queue, chain, stray(1), begin);
    recorder.reset();
    EXPECT_FALSE(queue->on());
    // As a worker that was in the middle of its batch.
    chain.decide(stray(2), begin + 1'000'000, decision_);
    queue->push(stray(2), begin + 1'000'000, decision_, false);
    recorder = start();
    recorder->add(queue);
    decide(*queue, chain, stray(3), begin + 2'000'000);
    recorder.reset();
    const auto entries = recorded();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].event.source, stray(3).source);
    const auto old = parse_recording(read(config_.file + ".old"), "old");
    ASSERT_TRUE(old);
    ASSERT_EQ(old->size(), 1u) << "the recording before this one is kept";
    EXPECT_EQ((*old)[0].event.source, stray(1).source);
}

TEST_F(RecorderTest, OtherFilesStayAsTheyAre) {
    std::ofstream(config_.file) << "root:x:0:0\n";
    EXPECT_THAT(refusal(), HasSubstr("is there and no recording"));
    EXPECT_EQ(read(config_.file), "root:x:0:0\n");
    std::filesystem::rename(config_.file, config_.file + ".old");
    EXPECT_THAT(refusal(), HasSubstr("events.trace.old' is there and no recording"));
    EXPECT_FALSE(std::filesystem::exists(config_.file));
    std::filesystem::remove(config_.file + ".old");
    std::ofstream(folder_ / "other") << trace_header << "\n";
    std::filesystem::create_symlink(folder_ / "other", config_.file);
    EXPECT_THAT(refusal(), HasSubstr("is there and no recording"));
    std::filesystem::remove(config_.file);
    ASSERT_EQ(mkfifo(config_.file.c_str(), 0600), 0);
    EXPECT_THAT(refusal(), HasSubstr("is there and no recording"));
    std::filesystem::remove(config_.file);
    config_.file = folder_ / "nowhere" / "events.trace";
    EXPECT_THAT(refusal(), HasSubstr("cannot make"));
}

}  // namespace
}  // namespace synward
