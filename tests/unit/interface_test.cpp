// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/interface.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/ticks.h"
#include "namespace.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Interface, IsWhatIpSays) {
    const TestNamespace space;
    run("ip link set here address 02:00:5e:00:53:01 mtu 1400");
    const Interface i = space.here();
    EXPECT_EQ(i.mtu, 1400u);
    EXPECT_EQ(i.mac, (std::array<std::uint8_t, 6>{2, 0, 0x5e, 0, 0x53, 1}));
    EXPECT_TRUE(i.up);
    EXPECT_EQ(i.rx_queues, 2u);
    EXPECT_TRUE(i.vlans.empty());
    run("ip link set here down");
    EXPECT_FALSE(space.here().up);
    const auto all = list_interfaces();
    ASSERT_TRUE(all);
    EXPECT_EQ(all->size(), 2u) << "without loopback";
}

TEST(Interface, AMissingOneNamesThoseThereAre) {
    const TestNamespace space;
    const auto missing = find_interface("eth7");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ErrorCode::missing);
    EXPECT_THAT(missing.error().message, AllOf(HasSubstr("eth7"), HasSubstr("here"), HasSubstr("there")));
}

TEST(Ticks, RunAtTheRateOfTheClock) {
    const auto clock = TickClock::create();
    ASSERT_TRUE(clock) << clock.error().message;
    const auto first = clock->now();
    ASSERT_TRUE(first);
    EXPECT_GE(*first, 0xffffffffu - 300u * clock->hz()) << "jiffies start five minutes before they wrap";
    auto later = clock->now();
    for (int i = 0; i < 1'000'000 && later && *later == *first; i++) later = clock->now();
    ASSERT_TRUE(later);
    EXPECT_GT(*later, *first);
}

}  // namespace
}  // namespace synward
