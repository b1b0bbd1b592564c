// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace synward {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

struct PreflightTest : testing::Test {
    PreflightTest() {
        config.services.push_back({.name = "web", .ports = {80}});
        host.kernel = "6.12.0";
        host.btf = true;
        host.reqsk = true;
    }
    const Finding* about(std::string_view subject) {
        found = check_sysctls(config, host);
        const auto at =
            std::find_if(found.begin(), found.end(), [&](const Finding& f) { return f.subject == subject; });
        return at == found.end() ? nullptr : &*at;
    }
    Settings& settings() { return config.services[0].settings; }

    Config config;
    HostFacts host;
    std::vector<Finding> found;
};

TEST_F(PreflightTest, ADefaultHostIsFine) {
    EXPECT_THAT(check_sysctls(config, host), IsEmpty());
}

TEST_F(PreflightTest, RequestSocketsNeedCookiesAllowed) {
    host.sysctls.tcp_syncookies = 0;
    const Finding* f = about("net.ipv4.tcp_syncookies");
    ASSERT_TRUE(f);
    EXPECT_EQ(f->severity, Severity::error);
    EXPECT_EQ(f->fix, "sysctl -w net.ipv4.tcp_syncookies=1");
    host.sysctls.tcp_syncookies = 2;
    EXPECT_FALSE(about("net.ipv4.tcp_syncookies"));
    host.sysctls.tcp_syncookies = 0;
    settings().mode = SW_MODE_OFF;
    EXPECT_FALSE(about("net.ipv4.tcp_syncookies")) << "a service that is off needs nothing";
}

TEST_F(PreflightTest, KernelCookiesNeedMore) {
    host.reqsk = false;
    const Finding* f = about("net.ipv4.tcp_syncookies");
    ASSERT_TRUE(f);
    EXPECT_EQ(f->fix, "sysctl -w net.ipv4.tcp_syncookies=2");
    f = about("net.ipv4.tcp_timestamps");
    ASSERT_TRUE(f);
    EXPECT_EQ(f->severity, Severity::warning);
    host.sysctls.tcp_syncookies = 2;
    host.sysctls.tcp_timestamps = 2;
    EXPECT_THAT(check_sysctls(config, host), IsEmpty());
}

TEST_F(PreflightTest, ConntrackMustBeLooseOnAHostAndStrictBeforeSynproxy) {
    host.sysctls.conntrack_tcp_loose = 0;
    const Finding* f = about("net.netfilter.nf_conntrack_tcp_loose");
    ASSERT_TRUE(f);
    EXPECT_THAT(f->fix, HasSubstr("=1"));
    settings().delivery = SW_DELIVERY_SYNPROXY;
    EXPECT_FALSE(about("net.netfilter.nf_conntrack_tcp_loose"));
    host.sysctls.conntrack_tcp_loose = 1;
    f = about("net.netfilter.nf_conntrack_tcp_loose");
    ASSERT_TRUE(f);
    EXPECT_THAT(f->fix, HasSubstr("=0"));
    host.sysctls.conntrack_tcp_loose = -1;
    EXPECT_TRUE(about("conntrack"));
}

TEST_F(PreflightTest, OnAGatewayEverythingIsSynproxys) {
    config.daemon.gateway = true;
    host.sysctls.conntrack_tcp_loose = 1;
    const Finding* f = about("net.netfilter.nf_conntrack_tcp_loose");
    ASSERT_TRUE(f);
    EXPECT_EQ(f->severity, Severity::error);
    host.sysctls.conntrack_tcp_loose = 0;
    EXPECT_THAT(check_sysctls(config, host), IsEmpty());
    settings().delivery = SW_DELIVERY_REQSK;
    f = about("service web");
    ASSERT_TRUE(f);
    EXPECT_EQ(f->severity, Severity::error);
    EXPECT_THAT(f->text, HasSubstr("forwards"));
}

TEST_F(PreflightTest, SynproxyNeedsARule) {
    const std::vector<std::string> none{R"({"nftables": [{"table": {"name": "synproxy"}}]})",
                                        "*filter\n-A FORWARD -j DROP\n"};
    EXPECT_THAT(check_synproxy(config, none), IsEmpty()) << "a host needs none";
    config.daemon.gateway = true;
    const auto missing = check_synproxy(config, none);
    ASSERT_EQ(missing.size(), 1u);
    EXPECT_EQ(missing[0].severity, Severity::error);
    EXPECT_THAT(missing[0].text, HasSubstr("no rule"));
    config.daemon.gateway.reset();
    settings().delivery = SW_DELIVERY_SYNPROXY;
    EXPECT_EQ(check_synproxy(config, none).size(), 1u);
    for (const char* rule :
         {R"({"nftables": [{"rule": {"expr": [{"synproxy": {"mss": 1460, "wscale": 7}}]}}]})",
          R"({"nftables": [{"rule": {"expr": [{"synproxy": null}]}}]})",
          R"({"nftables": [{"rule": {"expr": [{"xt": {"type": "target", "name": "SYNPROXY"}}]}}]})",
          "-A FORWARD -p tcp -m tcp --dport 80 -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460"})
        EXPECT_THAT(check_synproxy(config, {none[1], rule}), IsEmpty()) << rule;
    settings().mode = SW_MODE_OFF;
    EXPECT_THAT(check_synproxy(config, none), IsEmpty());
}

TEST_F(PreflightTest, AKernelThatCannot) {
    host.kernel = "5.10.0-28-amd64";
    EXPECT_TRUE(about("Linux 5.10.0-28-amd64"));
    host.kernel = "6.1.0-32-amd64";
    EXPECT_FALSE(about("Linux 6.1.0-32-amd64"));
    host.btf = false;
    EXPECT_TRUE(about("/sys/kernel/btf/vmlinux"));
    host.btf = true;
    host.reqsk = false;
    settings().delivery = SW_DELIVERY_REQSK;
    const Finding* f = about("service web");
    ASSERT_TRUE(f);
    EXPECT_THAT(f->text, HasSubstr("bpf_sk_assign_tcp_reqsk"));
}

TEST_F(PreflightTest, Interfaces) {
    Interface interface { .name = "eth0", .up = true };
    EXPECT_THAT(check_interface(interface, true, false), IsEmpty())
        << "offload hurts only where there are VLANs";
    interface.vlans = {"eth0.7"};
    EXPECT_THAT(check_interface(interface, false, false), IsEmpty());
    const auto vlan = check_interface(interface, true, false);
    ASSERT_EQ(vlan.size(), 1u);
    EXPECT_THAT(vlan[0].text, HasSubstr("eth0.7"));
    EXPECT_EQ(vlan[0].fix, "ethtool -K eth0 rxvlan off");
    EXPECT_EQ(check_interface(interface, false, true)[0].fix, "ethtool -K eth0 lro off");
}

TEST_F(PreflightTest, FramesThatAreNotProtected) {
    Interface interface { .name = "eth0", .up = true };
    interface.mtu = most_native_mtu;
    EXPECT_THAT(check_interface(interface, false, false), IsEmpty());
    interface.mtu = 9000;
    EXPECT_THAT(check_interface(interface, false, false)[0].text, HasSubstr("MTU of 9000"));
    interface.mtu = 1500;
    interface.stations = {{"br0", "bridge"}, {"vrrp.7", "macvlan"}};
    const auto stations = check_interface(interface, false, false);
    ASSERT_EQ(stations.size(), 2u);
    EXPECT_EQ(stations[0].severity, Severity::warning);
    EXPECT_THAT(stations[0].text, HasSubstr("br0 (bridge)"));
    EXPECT_THAT(stations[0].fix, HasSubstr("give br0 the address of eth0"));
    EXPECT_THAT(stations[1].fix, HasSubstr("protect vrrp.7 too"));
}

TEST_F(PreflightTest, AnInterfaceThatIsNotThere) {
    config.daemon.interfaces = {"no-such-device"};
    const auto findings = preflight(config);
    EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const Finding& f) {
        return f.subject == "no-such-device" && f.severity == Severity::error;
    }));
    EXPECT_TRUE(std::is_sorted(findings.begin(), findings.end(),
                               [](const Finding& a, const Finding& b) { return a.severity > b.severity; }));
}

}  // namespace
}  // namespace synward
