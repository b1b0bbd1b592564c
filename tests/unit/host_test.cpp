// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace synward {
namespace {

using testing::HasSubstr;

TEST(Host, ReadsSysctlsAndKeepsDefaultsForAbsentOnes) {
    const auto root = std::filesystem::temp_directory_path() / ("synward-sysctl-" + std::to_string(getpid()));
    std::filesystem::create_directories(root / "net/ipv4");
    std::filesystem::create_directories(root / "net/ipv6/conf/eth7");
    std::ofstream(root / "net/ipv4/tcp_rmem") << "4096\t131072\t33554432\n";
    std::ofstream(root / "net/ipv4/tcp_sack") << "0\n";
    std::ofstream(root / "net/ipv4/tcp_timestamps") << "2\n";
    std::ofstream(root / "net/ipv6/conf/eth7/hop_limit") << "33\n";
    const Sysctls s = read_sysctls("eth7", root);
    std::filesystem::remove_all(root);
    EXPECT_EQ(s.tcp_rmem_max, 33554432u);
    EXPECT_FALSE(s.tcp_sack);
    EXPECT_EQ(s.tcp_timestamps, 2);
    EXPECT_EQ(s.hop_limit, 33);
    EXPECT_EQ(s.tcp_syncookies, 1);
    EXPECT_EQ(s.conntrack_tcp_loose, -1);
}

TEST(Host, SaysWhichSysctlsChanged) {
    Sysctls before, now;
    EXPECT_EQ(sysctls_changed(before, now, "eth7"), "");
    now.tcp_sack = false;
    now.hop_limit = 33;
    EXPECT_EQ(sysctls_changed(before, now, "eth7"),
              "net.ipv4.tcp_sack is 0 (was 1), net.ipv6.conf.eth7.hop_limit is 33 (was 64)");
}

TEST(Host, ComparesReleases) {
    EXPECT_TRUE(release_at_least("6.1.0-32-amd64", 6, 1));
    EXPECT_TRUE(release_at_least("6.12", 6, 9));
    EXPECT_TRUE(release_at_least("7.0.1", 6, 9));
    EXPECT_FALSE(release_at_least("6.1.0", 6, 9));
    EXPECT_FALSE(release_at_least("5.10.0-28-amd64", 6, 1));
    EXPECT_FALSE(release_at_least("", 6, 1));
}

TEST(Host, TheTickRateIsOneThatLinuxHas) {
    EXPECT_THAT(tick_rate(), testing::AnyOf(24u, 100u, 250u, 300u, 1000u));
}

TEST(Host, ChoosesADeliveryAndSaysWhy) {
    HostFacts host;
    host.kernel = "6.1.0";
    auto choice = choose_delivery(SW_DELIVERY_AUTO, host);
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->delivery, SW_DELIVERY_KERNEL);
    EXPECT_THAT(choice->why, HasSubstr("Linux 6.1.0"));
    host.reqsk = true;
    choice = choose_delivery(SW_DELIVERY_AUTO, host);
    EXPECT_EQ(choice->delivery, SW_DELIVERY_REQSK);
    EXPECT_EQ(choose_delivery(SW_DELIVERY_SYNPROXY, host)->delivery, SW_DELIVERY_SYNPROXY);
}

TEST(Host, WhatIsForwardedIsSynproxys) {
    for (const bool reqsk : {false, true}) {
        HostFacts host;
        host.reqsk = reqsk;
        const auto choice = choose_delivery(SW_DELIVERY_AUTO, host, true);
        ASSERT_TRUE(choice);
        EXPECT_EQ(choice->delivery, SW_DELIVERY_SYNPROXY);
        EXPECT_THAT(choice->why, HasSubstr("forwarded"));
        EXPECT_TRUE(choose_delivery(SW_DELIVERY_SYNPROXY, host, true));
    }
}

}  // namespace
}  // namespace synward
