// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "lib/preflight_module.h"
#include "lib/preflight_queues.h"
#include "lib/preflight_sets.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

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
    host.reqsk = true;
    EXPECT_FALSE(about("service web")) << "what listens here";
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

// --- module and queues -----------------------------------------------------------------

auto finds(Severity severity, std::string_view subject, auto text) {
    return AllOf(Field("severity", &Finding::severity, severity),
                 Field("subject", &Finding::subject, std::string(subject)),
                 Field("text", &Finding::text, text));
}

struct PreflightSectionsTest : testing::Test {
    PreflightSectionsTest() {
        config.services.push_back({.name = "web", .ports = {80}});
        config.services[0].settings.stray = SW_ACTION_ESCALATE;
    }
    Config config;
};

TEST_F(PreflightSectionsTest, TheModuleIsWantedByName) {
    const KernelModule none;
    EXPECT_THAT(check_module(config, none), IsEmpty()) << "auto takes what there is";
    config.escalation.transport = TransportChoice::ring;
    config.classify.marker = Marker::module;
    const auto ring =
        finds(Severity::error, "escalation.transport", HasSubstr("neither loaded nor installed"));
    EXPECT_THAT(check_module(config, none), ElementsAre(ring)) << "there is no section [classify]";
    EXPECT_THAT(check_module(config, none)[0].fix, AllOf(HasSubstr("DKMS"), HasSubstr("modprobe synward")));
    config.classify.enabled = true;
    EXPECT_THAT(check_module(config, none),
                ElementsAre(ring, finds(Severity::error, "classify.marker", HasSubstr("get no mark"))));
    EXPECT_THAT(check_module(config, {.loaded = true}), IsEmpty());
    config.services[0].settings.stray = SW_ACTION_DROP;
    EXPECT_EQ(check_module(config, none).size(), 1u) << "nothing is escalated";
}

TEST_F(PreflightSectionsTest, AModuleThatCanBeLoadedOrIsOfAnotherRelease) {
    config.escalation.transport = TransportChoice::ring;
    EXPECT_THAT(check_module(config, {.installed = true}),
                ElementsAre(finds(Severity::note, "escalation.transport", HasSubstr("not loaded"))));
    EXPECT_THAT(check_module(config, {.loaded = true, .problem = "another version: install both"}),
                ElementsAre(finds(Severity::error, "escalation.transport", "another version: install both")));
}

TEST_F(PreflightSectionsTest, TheTransportThatAutoWillTake) {
    const KernelModule none, loaded{.loaded = true}, installed{.installed = true},
        other{.loaded = true, .problem = "another version"};
    EXPECT_TRUE(takes_nfqueue(config, none));
    EXPECT_TRUE(takes_nfqueue(config, other));
    EXPECT_FALSE(takes_nfqueue(config, loaded));
    EXPECT_FALSE(takes_nfqueue(config, installed));
    config.escalation.transport = TransportChoice::nfqueue;
    EXPECT_TRUE(takes_nfqueue(config, loaded));
    config.escalation.transport = TransportChoice::ring;
    EXPECT_FALSE(takes_nfqueue(config, none));
    config.escalation = {};
    config.services[0].settings.stray = SW_ACTION_DROP;
    EXPECT_FALSE(takes_nfqueue(config, none));
}

TEST(PreflightModule, WhatDepmodLists) {
    const auto listed = [](const char* text) {
        std::istringstream file(text);
        return lists_module(file);
    };
    EXPECT_TRUE(
        listed("kernel/net/a.ko:\nupdates/dkms/synward.ko.xz: kernel/net/netfilter/ipset/ip_set.ko.xz\n"));
    EXPECT_TRUE(listed("synward.ko:\n"));
    EXPECT_FALSE(listed("kernel/net/other.ko: updates/dkms/synward.ko\n"));
    EXPECT_FALSE(listed("kernel/net/synwarden.ko:\n"));
    EXPECT_FALSE(listed(""));
}

TEST_F(PreflightSectionsTest, AQueueOfAnotherProcess) {
    config.escalation.queue = 100;
    config.escalation.queues = 2;
    EXPECT_THAT(check_queues(config, {{.queue = 99, .port = 1}, {.queue = 102, .port = 2}}), IsEmpty());
    const auto found =
        check_queues(config, {{.queue = 101, .port = 812, .process = 812, .name = "suricata"}});
    ASSERT_THAT(found,
                ElementsAre(finds(Severity::error, "escalation.queue",
                                  AllOf(HasSubstr("queue 101"), HasSubstr("process 812 (suricata)")))));
    EXPECT_THAT(found[0].fix, HasSubstr("escalation.queue"));
    EXPECT_THAT(check_queues(config, {{.queue = 100, .port = 7}})[0].text, HasSubstr("netlink port id 7"));
    EXPECT_THAT(check_queues(config, {{.queue = 100, .port = 7, .process = 7, .name = "synwardd"}}),
                IsEmpty())
        << "the daemon that runs already";
}

TEST(PreflightQueues, TheKernelsTables) {
    std::istringstream queues(
        "21337  31621     0 2   208     0     0        0  1\n"
        "65535 4294963193 3 2 65531 0 0 12 1\nnonsense\n");
    const auto readers = read_queues(queues);
    ASSERT_EQ(readers.size(), 2u);
    EXPECT_EQ(readers[0].queue, 21337);
    EXPECT_EQ(readers[0].port, 31621u);
    EXPECT_EQ(readers[1].queue, 65535);
    EXPECT_EQ(readers[1].port, 4294963193u);

    const std::string sockets =
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
        "00000000f8ef8ea1 0   31621      00000000 0        0        0     2        0        4\n"
        "00000000652585d1 12  31621      00000000 0        0        0     2        0        1450\n";
    const auto inode = [&](std::uint32_t port) {
        std::istringstream table(sockets);
        return netfilter_socket(table, port);
    };
    EXPECT_EQ(inode(31621), "1450") << "a port id is unique within a protocol only";
    EXPECT_EQ(inode(31622), "");
}

// --- sets ------------------------------------------------------------------------------

SetHeader set_of(const std::string& name, const std::string& type, sw_family family = SW_IPV4) {
    SetHeader header;
    header.name = name;
    header.type = type;
    header.kind = set_kind(type);
    if (header.kind != SetKind::list) {
        header.family = family;
        header.skbinfo = header.timeout = true;
    }
    return header;
}

SetHeader without(bool SetHeader::*what, SetHeader header) {
    header.*what = false;
    return header;
}

struct PreflightSetsTest : PreflightSectionsTest {
    PreflightSetsTest() { config.classify.enabled = true; }
    std::vector<Finding> bound(const std::vector<std::string>& names) {
        config.classify.sets = names;
        return check_bound_sets(config, there);
    }
    // As the IPv4 deny set.
    std::vector<Finding> denies(SetHeader header) {
        config.decide.deny_set[SW_IPV4] = header.name;
        config.classify.sets = {header.name, config.decide.deny_set[SW_IPV6]};
        there.headers = {std::move(header)};
        return check_deny_sets(config, there);
    }
    SetsThere there;
};

TEST_F(PreflightSetsTest, AHostWithoutSetsIsFine) {
    EXPECT_THAT(check_bound_sets(config, there), IsEmpty()) << "synward makes its own";
    EXPECT_THAT(check_deny_sets(config, there), IsEmpty());
}

TEST_F(PreflightSetsTest, WhatCanBeBound) {
    there.headers = {set_of("nets", "hash:net"), set_of("ports6", "hash:ip,port", SW_IPV6),
                     set_of("inner", "hash:ip"), set_of("outer", "list:set")};
    there.members["outer"] = {"inner", "gone"};
    EXPECT_THAT(bound({"nets", "ports6", "outer", "synward4"}), IsEmpty());
    EXPECT_THAT(bound({"later"}), ElementsAre(finds(Severity::note, "set later", HasSubstr("waited for"))));
    config.decide.deny_set[SW_IPV6] = "later";
    EXPECT_THAT(bound({"later"}), IsEmpty()) << "the deciders make it";
}

TEST_F(PreflightSetsTest, WhatIsLeftOutWhenItIsBound) {
    there.headers = {without(&SetHeader::skbinfo, set_of("bare", "hash:net")),
                     set_of("map", "bitmap:ip"),
                     set_of("outer", "list:set"),
                     set_of("mixed", "list:set"),
                     set_of("ports", "hash:ip,port"),
                     set_of("ifaces", "hash:net,iface")};
    there.members["outer"] = {"ports", "bare"};
    there.members["mixed"] = {"ports", "ifaces"};
    const auto found = bound({"bare", "map", "outer", "mixed"});
    ASSERT_THAT(found, ElementsAre(finds(Severity::warning, "set bare", HasSubstr("no room for marks")),
                                   finds(Severity::warning, "set map", HasSubstr("of type bitmap:ip")),
                                   finds(Severity::warning, "set outer", HasSubstr("ipset 'bare'")),
                                   finds(Severity::warning, "set mixed", HasSubstr("sets by interface"))));
    EXPECT_THAT(found[0].text, AllOf(HasSubstr("left out"), Not(HasSubstr(";"))));
    EXPECT_THAT(found[0].fix, HasSubstr("ipset create bare hash:net skbinfo"));
    EXPECT_THAT(found[1].fix, StartsWith("use hash:ip, hash:net"));
    EXPECT_EQ(found[3].fix, "bind them one by one");
    config.classify.enabled = false;
    EXPECT_EQ(bound({"bare", "map", "outer", "mixed"}).size(), 3u) << "the driver hook has no such trouble";
}

TEST_F(PreflightSetsTest, WhatTheDecidersCannotWriteInto) {
    const auto wrong = [](auto text) { return ElementsAre(finds(Severity::error, "set bans", text)); };
    EXPECT_THAT(denies(without(&SetHeader::timeout, set_of("bans", "hash:net"))),
                wrong(HasSubstr("without timeout")));
    EXPECT_THAT(denies(set_of("bans", "hash:net", SW_IPV6)), wrong(HasSubstr("deny_set4 is for IPv4")));
    for (const char* type : {"hash:net,port", "hash:ip,mark", "bitmap:ip", "list:set"})
        EXPECT_THAT(denies(set_of("bans", type)), wrong(HasSubstr(type))) << type;
    EXPECT_THAT(denies(set_of("bans", "bitmap:ip"))[0].fix,
                StartsWith("name another set as decide.deny_set4"));

    config.decide.deny_set = {"synward-deny4", "bans"};
    config.classify.sets = {"synward-deny4", "bans"};
    there.headers = {set_of("bans", "hash:ip", SW_IPV6)};
    EXPECT_THAT(check_deny_sets(config, there), wrong(HasSubstr("/64")));
    config.decide.deny_set = {"bans", "bans"};
    EXPECT_THAT(check_deny_sets(config, there), wrong(HasSubstr("one family")));
    config.services[0].settings.stray = SW_ACTION_DROP;
    EXPECT_THAT(check_deny_sets(config, there), IsEmpty()) << "nobody decides";
}

TEST_F(PreflightSetsTest, ADenySetThatDoesOtherThanIsThought) {
    EXPECT_THAT(denies(set_of("synward-deny4", "hash:net")), IsEmpty());
    EXPECT_THAT(denies(set_of("synward-deny4", "hash:ip")), IsEmpty());
    SetHeader masked = set_of("synward-deny4", "hash:ip");
    masked.netmask = 24;
    EXPECT_THAT(denies(masked),
                ElementsAre(finds(Severity::warning, "set synward-deny4", HasSubstr("netmask"))));
    EXPECT_THAT(denies(without(&SetHeader::skbinfo, set_of("synward-deny4", "hash:net"))), IsEmpty())
        << "it is bound, and told there";

    config.classify.sets = {"synward-deny6"};
    there.headers = {without(&SetHeader::skbinfo, set_of("synward-deny4", "hash:net"))};
    EXPECT_THAT(check_deny_sets(config, there),
                ElementsAre(finds(Severity::note, "set synward-deny4", HasSubstr("no room for marks"))));
    there.headers.clear();
    EXPECT_THAT(check_deny_sets(config, there),
                ElementsAre(finds(Severity::note, "set synward-deny4", HasSubstr("not in classify.sets"))));
    config.classify.sets = {"all", "synward-deny6"};
    there.members["all"] = {"synward-deny4"};
    EXPECT_THAT(check_deny_sets(config, there), IsEmpty()) << "a list binds it";
}

TEST_F(PreflightSetsTest, ASetOfAdministratorAndDeciders) {
    const auto shared = denies(set_of("mine", "hash:net"));
    ASSERT_THAT(shared, ElementsAre(finds(Severity::warning, "set mine",
                                          AllOf(HasSubstr("classify.sets"), HasSubstr("decide.deny_set4")))));
    EXPECT_THAT(shared[0].fix, HasSubstr("decide.deny_set4 = \"synward-deny4\""));
    there.headers.clear();
    EXPECT_EQ(check_deny_sets(config, there).size(), 1u) << "before it exists, too";
    EXPECT_EQ(denies(set_of("synward4", "hash:net")).size(), 1u) << "where synward deny writes";
}

TEST(PreflightMptcp, NamesServicesWithSuchAListener) {
    Config config;
    config.services.push_back({.name = "web", .ports = {80, 443}});
    config.services.push_back({.name = "here", .ports = {25}, .addresses = {*Address::parse("192.0.2.1")}});
    config.services.push_back({.name = "off", .ports = {22}});
    config.services.back().settings.mode = SW_MODE_OFF;
    const Address any, here = *Address::parse("192.0.2.1"), there = *Address::parse("192.0.2.2");
    EXPECT_TRUE(
        check_mptcp(config,
                    {{any, 80, 0, false}, {any, 22, 0, true}, {any, 9, 0, true}, {there, 25, 0, true}})
            .empty());
    const auto found = check_mptcp(
        config, {{any, 80, 0, true}, {Address{.family = SW_IPV6}, 80, 0, true}, {here, 25, 0, true}});
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].severity, Severity::warning);
    EXPECT_EQ(found[0].subject, "service web");
    EXPECT_NE(found[0].text.find("port 80 is an MPTCP socket"), std::string::npos);
    EXPECT_EQ(found[1].subject, "service here");
}

}  // namespace
}  // namespace synward
