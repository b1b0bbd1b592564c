// SPDX-License-Identifier: GPL-2.0-or-later
// Rulesets as nft 1.0.6 and iptables 1.8.9 print them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/preflight.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

Config protecting(std::vector<std::uint16_t> ports) {
    Config config;
    config.services.push_back({.name = "web", .ports = std::move(ports)});
    return config;
}

std::vector<Finding> nft(std::string_view rule, const Config& config = protecting({80, 443}),
                         std::string_view hook = "prerouting", const HeardPorts& heard = {}) {
    return check_nft(config,
                     fmt::format(R"({{"nftables":[{{"metainfo":{{"version":"1.0.6"}}}},
{{"chain":{{"family":"inet","table":"strict","name":"in","handle":1,"type":"filter","hook":"{}","prio":0}}}},
{{"rule":{{"family":"inet","table":"strict","chain":"in","handle":8,"expr":[{}]}}}}]}})",
                                 hook, rule),
                     heard);
}

constexpr std::string_view redirect_set =
    R"({"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":{"set":[80,{"range":[8000,8010]}]}}},{"redirect":{"port":8080}})";
constexpr std::string_view new_not_syn =
    R"({"match":{"op":"!=","left":{"&":[{"payload":{"protocol":"tcp","field":"flags"}},["fin","syn","rst","ack"]]},"right":"syn"}},{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}},{"drop":null})";

TEST(Nft, ARedirectedPortIsNamedWithItsRule) {
    const auto findings = nft(redirect_set);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].severity, Severity::warning);
    EXPECT_EQ(findings[0].subject, "nft rule inet strict in handle 8");
    EXPECT_THAT(findings[0].text, AllOf(HasSubstr("redirects port 80"), HasSubstr("unprotected")));
    EXPECT_EQ(nft(redirect_set, protecting({8005})).size(), 1u) << "within the range";
    const auto heard = nft(redirect_set, protecting({80}), "prerouting", {80});
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(heard[0].severity, Severity::error);
    EXPECT_THAT(heard[0].text, HasSubstr("something listens here, too"));
    EXPECT_THAT(nft(redirect_set, protecting({8011})), IsEmpty());
    EXPECT_THAT(nft(redirect_set, protecting({80}), "output"), IsEmpty())
        << "local packets are not at the driver";
}

TEST(Nft, DestinationNatWithAndWithoutAPort) {
    EXPECT_EQ(
        nft(R"({"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":443}},{"dnat":{"family":"ip","addr":"192.0.2.2","port":8443}})")
            .size(),
        1u);
    EXPECT_EQ(nft(R"({"dnat":{"family":"ip","addr":"192.0.2.2"}})").size(), 1u) << "every port";
    EXPECT_EQ(
        nft(R"({"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":"@ports"}},{"redirect":null})")
            .size(),
        1u)
        << "a named set may hold it";
}

TEST(Nft, OtherProtocolsAreNoConcern) {
    EXPECT_THAT(
        nft(R"({"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":80}},{"redirect":{"port":5353}})"),
        IsEmpty());
    EXPECT_THAT(
        nft(R"({"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":"udp"}},{"redirect":null})"),
        IsEmpty());
    EXPECT_EQ(
        nft(R"({"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":{"set":["tcp","udp"]}}},{"redirect":null})")
            .size(),
        1u);
}

TEST(Nft, NewButNotSynIsAnErrorInAllItsSpellings) {
    const auto findings = nft(new_not_syn, protecting({80}), "input");
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].severity, Severity::error);
    EXPECT_THAT(findings[0].text, HasSubstr("not a SYN"));
    EXPECT_EQ(
        nft(R"({"match":{"op":"==","left":{"ct":{"key":"state"}},"right":{"set":["new","untracked"]}}},{"match":{"op":"!=","left":{"payload":{"protocol":"tcp","field":"flags"}},"right":"syn"}},{"counter":{"packets":0,"bytes":0}},{"drop":null})")
            .size(),
        1u);
    EXPECT_EQ(
        nft(R"({"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}},{"match":{"op":"!","left":{"payload":{"protocol":"tcp","field":"flags"}},"right":"syn"}},{"reject":{"type":"icmpx","expr":"port-unreachable"}})")
            .size(),
        1u);
}

TEST(Nft, WhatDoesNotDropOrIsForSynproxyIsFine) {
    EXPECT_THAT(
        nft(R"({"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"new"}},{"match":{"op":"!=","left":{"payload":{"protocol":"tcp","field":"flags"}},"right":"syn"}},{"accept":null})"),
        IsEmpty());
    EXPECT_THAT(nft(R"({"match":{"op":"in","left":{"ct":{"key":"state"}},"right":"invalid"}},{"drop":null})"),
                IsEmpty());
    Config gateway = protecting({80});
    gateway.services[0].settings.delivery = SW_DELIVERY_SYNPROXY;
    EXPECT_THAT(nft(new_not_syn, gateway), IsEmpty());
}

TEST(Nft, WhatIsNotUnderstoodIsSaid) {
    for (const char* text : {"", "{", "[]", "{\"nftables\": 3}", "\xff"}) {
        const auto findings = check_nft(protecting({80}), text);
        ASSERT_EQ(findings.size(), 1u) << text;
        EXPECT_EQ(findings[0].severity, Severity::note);
    }
    EXPECT_THAT(nft("1, null, {\"match\": 3}, {\"match\": {\"left\": [], \"right\": {}}}"), IsEmpty());
}

constexpr std::string_view legacy = R"(# Generated by iptables-save v1.8.9
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP
-A INPUT -p tcp -m multiport --dports 80,443 -m conntrack --ctstate INVALID,NEW -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j REJECT --reject-with icmp-port-unreachable
-A INPUT -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8080
-A PREROUTING -p tcp -m tcp --dport 1000:2000 -j DNAT --to-destination 192.0.2.2
-A PREROUTING -p udp -m udp --dport 443 -j REDIRECT --to-ports 5353
-A OUTPUT -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8443
COMMIT
)";

TEST(Iptables, RulesThatStandInTheWay) {
    const auto findings = check_iptables(protecting({80}), legacy);
    ASSERT_EQ(findings.size(), 3u);
    EXPECT_THAT(findings[0].subject, HasSubstr("table filter: -A INPUT -p tcp -m tcp !"));
    EXPECT_EQ(findings[0].severity, Severity::error);
    EXPECT_EQ(findings[1].severity, Severity::error);
    EXPECT_THAT(findings[2].subject, HasSubstr("table nat: -A PREROUTING"));
    EXPECT_EQ(findings[2].severity, Severity::warning);
}

TEST(Iptables, OnlyProtectedPortsMatter) {
    EXPECT_THAT(check_iptables(protecting({1500}), legacy),
                ElementsAre(Field(&Finding::severity, Severity::error),
                            Field(&Finding::severity, Severity::warning)));
    EXPECT_THAT(check_iptables(protecting({22}), legacy), Each(Field(&Finding::severity, Severity::error)));
    EXPECT_THAT(check_iptables(protecting({}), legacy), IsEmpty());
    EXPECT_THAT(check_iptables(protecting({80}), "-A\n-A X\n-A X --dport\n\n-j DROP\n"), IsEmpty());
}

}  // namespace
}  // namespace synward
