// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/action_queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>

namespace synward {
namespace {

WantedAction numbered(std::uint32_t number) {
    WantedAction wanted;
    wanted.action.lifetime_ms = number;
    wanted.action.source = {number, ~number, number, ~number};
    wanted.service = static_cast<std::uint8_t>(number);
    wanted.dropped = number % 3 == 0;
    return wanted;
}

// A torn copy would show here: every part says the same number.
void expect_whole(const WantedAction& wanted) {
    const std::uint32_t number = wanted.action.lifetime_ms;
    ASSERT_EQ(wanted.action.source, (RawAddress{number, ~number, number, ~number}));
    ASSERT_EQ(wanted.service, static_cast<std::uint8_t>(number));
    ASSERT_EQ(wanted.dropped, number % 3 == 0);
}

TEST(ActionQueue, GivesBackInOrder) {
    const auto queue = std::make_unique<ActionQueue>();
    WantedAction out;
    EXPECT_FALSE(queue->pop(out));
    for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(queue->push(numbered(i)));
    for (std::uint32_t i = 0; i < 10; ++i) {
        ASSERT_TRUE(queue->pop(out));
        EXPECT_EQ(out.action.lifetime_ms, i);
        expect_whole(out);
    }
    EXPECT_FALSE(queue->pop(out));
    EXPECT_EQ(queue->lost(), 0u);
}

TEST(ActionQueue, KeepsTheEarliestWhenItIsFullAndCountsTheRest) {
    const auto queue = std::make_unique<ActionQueue>();
    for (std::uint32_t i = 0; i < ActionQueue::size; ++i) ASSERT_TRUE(queue->push(numbered(i)));
    for (std::uint32_t i = 0; i < 100; ++i) EXPECT_FALSE(queue->push(numbered(1'000'000 + i)));
    EXPECT_EQ(queue->lost(), 100u);
    WantedAction out;
    ASSERT_TRUE(queue->pop(out));
    EXPECT_TRUE(queue->push(numbered(7))) << "there is room again";
    for (std::uint32_t i = 1; i < ActionQueue::size; ++i) {
        ASSERT_TRUE(queue->pop(out));
        ASSERT_EQ(out.action.lifetime_ms, i);
    }
    ASSERT_TRUE(queue->pop(out));
    EXPECT_EQ(out.action.lifetime_ms, 7u);
    EXPECT_FALSE(queue->pop(out));
}

// Worker and control thread at once: none twice, none torn, and all are accounted for.
TEST(ActionQueue, OneWriterAndOneReader) {
    const auto queue = std::make_unique<ActionQueue>();
    constexpr std::uint32_t count = 200'000;
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (std::uint32_t i = 0; i < count; ++i) queue->push(numbered(i));
        done.store(true, std::memory_order_release);
    });
    std::uint64_t seen = 0;
    std::int64_t last = -1;
    WantedAction out;
    for (bool ended = false; !ended && !testing::Test::HasFatalFailure();) {
        ended = done.load(std::memory_order_acquire);  // then what is left is all there is
        while (queue->pop(out)) {
            expect_whole(out);
            EXPECT_GT(std::int64_t{out.action.lifetime_ms}, last);
            last = out.action.lifetime_ms;
            ++seen;
        }
        std::this_thread::yield();
    }
    writer.join();
    EXPECT_EQ(seen + queue->lost(), count);
    EXPECT_GE(seen, ActionQueue::size);
}

}  // namespace
}  // namespace synward
