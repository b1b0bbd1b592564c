// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/route.h"

#include <gtest/gtest.h>

#include <sstream>

namespace synward::cli {
namespace {

constexpr const char* head4 =
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

std::optional<std::string> four(const std::string& lines) {
    std::istringstream table(head4 + lines);
    return default_route4(table);
}

TEST(Route, TheBestDefaultRouteOfIpv4) {
    EXPECT_EQ(four("eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                   "wlan0\t00000000\t010200C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n"
                   "eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"),
              "wlan0");
}

TEST(Route, NeitherNetworksNorUnreachableOnes) {
    EXPECT_EQ(four(""), std::nullopt);
    EXPECT_EQ(four("eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"), std::nullopt);
    // 0.0.0.0/1, as VPNs set it
    EXPECT_EQ(four("tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n"), std::nullopt);
    EXPECT_EQ(four("*\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n"), std::nullopt);
}

TEST(Route, TheBestDefaultRouteOfIpv6) {
    const std::string zero(32, '0');
    std::istringstream table(
        "20010db8000100000000000000000000 40 " + zero + " 00 " + zero +
        " 00000100 00000001 00000000 00000001 eth1\n" + zero + " 00 " + zero +
        " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n" + zero + " 00 " +
        zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200 lo\n");
    EXPECT_EQ(default_route6(table), "eth0");
}

}  // namespace
}  // namespace synward::cli
