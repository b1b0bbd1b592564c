// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/filter_size.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <set>

#include "lib/abi/flow.h"

namespace synward {
namespace {

TEST(FilterSizeTest, ConnectionsAreEstimatedByTheirBits) {
    EXPECT_EQ(estimate_connections(0, 15), 0u);
    std::mt19937 random(7);
    for (const unsigned connections : {100u, 4'000u, 40'000u}) {
        std::set<unsigned> bits;
        for (unsigned i = 0; i < connections; i++) bits.insert(random() >> (32 - 15));
        const auto estimate = static_cast<double>(estimate_connections(bits.size(), 15));
        EXPECT_NEAR(estimate, connections, connections * 0.05 + 5);
    }
    EXPECT_GT(estimate_connections(1u << 15, 15), 200'000u) << "full: many";
}

TEST(FilterSizeTest, ThirtyTwoBitsForEachConnection) {
    EXPECT_EQ(next_filter_shift(SW_FILTER_SHIFT, 0), unsigned{SW_FILTER_SHIFT_MIN});
    EXPECT_EQ(next_filter_shift(15, 1024), 15u);
    EXPECT_EQ(next_filter_shift(15, 1025), 16u);
    EXPECT_EQ(next_filter_shift(15, 16'384), 19u);
    EXPECT_EQ(next_filter_shift(15, 16'385), unsigned{SW_FILTER_SHIFT}) << "there is no larger one";
    EXPECT_EQ(next_filter_shift(15, ~std::uint64_t{0}), unsigned{SW_FILTER_SHIFT});
}

TEST(FilterSizeTest, ItDoesNotShrinkByOneStep) {
    EXPECT_EQ(next_filter_shift(17, 2'000), 17u);
    EXPECT_EQ(next_filter_shift(17, 1'000), 15u);
}

TEST(FilterSizeTest, RenewedWhenItFillsUpOrItsGenerationsDiffer) {
    EXPECT_FALSE(filter_wants_renewal({.shift = 15, .other_shift = 15, .bits = 4'096}, 0));
    EXPECT_TRUE(filter_wants_renewal({.shift = 15, .other_shift = 15, .bits = 4'097}, 0));
    EXPECT_TRUE(filter_wants_renewal({.shift = 15, .other_shift = 19, .bits = 0}, 0));
    EXPECT_TRUE(filter_wants_renewal({.shift = 19, .other_shift = 15, .bits = 0}, 0));
    EXPECT_FALSE(filter_wants_renewal({.shift = 19, .other_shift = 19, .bits = 200'000}, 200'000))
        << "a walk would find as many";
    EXPECT_TRUE(filter_wants_renewal({.shift = 19, .other_shift = 19, .bits = 200'000}, 20'000))
        << "most have ended";
    EXPECT_FALSE(filter_wants_renewal({.shift = 19, .other_shift = 19, .bits = 130'000}, 20'000));
}

TEST(FilterSizeTest, SocketsAreCounted) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_GE(fd, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(fd, 1), 0);
    EXPECT_GE(count_sockets(), 1u);
    EXPECT_LT(count_sockets(), 1'000'000u);
    close(fd);
}

}  // namespace
}  // namespace synward
