// SPDX-License-Identifier: GPL-2.0-or-later
// Sets decide as the rules did, for rules of every kind in every order; the proof finds
// every mistake that is planted into the sets; and what is exported is the same again.
#include <gmock/gmock.h>

#include <random>

#include "lib/import/convert.h"
#include "lib/import/evaluate.h"
#include "lib/import/export.h"
#include "lib/import/plan.h"

namespace synward {
namespace {

using testing::HasSubstr;

// Few addresses and ports, so that rules meet; some of them at both ends of the space.
class Maker {
  public:
    explicit Maker(unsigned seed, bool ipv6) : random_(seed), ipv6_(ipv6) {}

    unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

    std::string source() {
        const unsigned octet = below(2) ? 255 : 0;
        const unsigned low = below(16) * 16 + below(4);
        const unsigned length = std::vector<unsigned>{0, 1, 24, 26, 28, 30, 31, 32}[below(8)];
        if (ipv6_) {
            const std::string head = octet ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff" : "0:0:0:0:0:0:0:";
            char hex[8];
            std::snprintf(hex, sizeof hex, "%02x", low);
            return head + hex + "/" + std::to_string(length < 24 ? length : length + 96);
        }
        const std::string o = std::to_string(octet);
        return o + "." + o + "." + o + "." + std::to_string(low) + "/" + std::to_string(length);
    }

    std::string service() {
        static const char* protocols[] = {"tcp", "tcp", "udp", "gre", "icmp", "tcp"};
        const std::string protocol = protocols[below(6)];
        if (protocol == "gre") return " -p gre";
        if (protocol == "icmp")
            return ipv6_ ? (below(2) ? " -p icmpv6 -m icmp6 --icmpv6-type 128/0"
                                     : " -p icmpv6 -m icmp6 --icmpv6-type 128")
                         : (below(2) ? " -p icmp -m icmp --icmp-type 8/0" : " -p icmp -m icmp --icmp-type 8");
        const unsigned first = std::vector<unsigned>{0, 1, 22, 80, 81, 65530}[below(6)];
        return " -p " + protocol + " -m " + protocol + " --dport " + std::to_string(first) + ":" +
               std::to_string(first + below(5));
    }

    std::string ruleset() {
        std::string text = ipv6_ ? "# ip6tables\n" : "# iptables\n";
        text += std::string("*filter\n:INPUT ") + (below(2) ? "DROP" : "ACCEPT") + " [0:0]\n:sub - [0:0]\n";
        const unsigned count = below(25);
        for (unsigned i = 0; i < count; i++) {
            static const char* verdicts[] = {"DROP", "ACCEPT", "RETURN"};
            const char* verdict = verdicts[below(9) / 4];
            switch (below(8)) {
                case 0:
                    text += "-A INPUT -i eth" + std::to_string(below(2)) + " -s " + source() + " -j " +
                            verdict + "\n";
                    break;
                case 1:
                case 2:
                case 3:
                    text += "-A INPUT -s " + source() + service() + " -j " + verdict + "\n";
                    break;
                case 4:
                    text += "-A INPUT" + service() + " -j " + verdict + "\n";
                    break;
                case 5:
                    text += "-A INPUT -s " + source() + (below(2) ? service() : "") + " -j sub\n";
                    break;
                default:
                    text += "-A INPUT -s " + source() + " -j " + verdict + "\n";
            }
        }
        for (unsigned i = 0; i < below(4); i++)
            text += "-A sub -s " + source() + " -j " + (below(2) ? "DROP\n" : "ACCEPT\n");
        return text + "COMMIT\n";
    }

  private:
    std::mt19937 random_;
    bool ipv6_;
};

// Every packet of the small world that Maker's rules are about.
std::vector<TestPacket> world(sw_family family) {
    std::vector<TestPacket> packets;
    std::vector<AddressNumber> sources;
    const AddressNumber step = address_step(family);
    for (unsigned i = 0; i < 260; i++) {
        sources.push_back(step * i);
        sources.push_back(~AddressNumber(0) / step * step - step * i);
    }
    sources.push_back(AddressNumber(1) << 127);
    sources.push_back((AddressNumber(1) << 127) - step);
    const std::uint8_t icmp = family == SW_IPV4 ? 1 : 58;
    const unsigned type = family == SW_IPV4 ? 8 : 128;
    std::vector<std::pair<std::uint8_t, unsigned>> services{
        {47, 0}, {99, 0}, {132, 22}, {icmp, type << 8}, {icmp, type << 8 | 1}, {17, 22}, {17, 83}};
    for (const unsigned port :
         {0U, 1U, 2U, 5U, 6U, 21U, 22U, 26U, 27U, 80U, 81U, 84U, 85U, 86U, 65529U, 65530U, 65535U})
        services.emplace_back(6, port);
    for (const AddressNumber source : sources)
        for (const auto& [protocol, port] : services)
            for (const char* interface : {"", "eth0", "eth1"})
                packets.push_back({family, source, interface, protocol, static_cast<std::uint16_t>(port)});
    return packets;
}

bool sets_drop(const SetSearch& search, const TestPacket& packet) {
    const PlannedEntry* entry = search.find(packet);
    return entry && entry->drop;
}

ProofOptions few(unsigned seed) {
    return {.random_packets = 200, .seed = seed};
}

class ImportFamilies : public testing::TestWithParam<sw_family> {};

TEST_P(ImportFamilies, SetsDecideAsAnyRulesetDoes) {
    const auto packets = world(GetParam());
    unsigned expressible = 0;
    for (unsigned seed = 1; seed <= 100; seed++) {
        const std::string text = Maker(seed, GetParam() == SW_IPV6).ruleset();
        const auto conversion = convert_ruleset(text, "t", {}, few(seed));
        // Ways through a chain by interface and port, or returns in it, may be refused.
        if (!conversion) {
            ASSERT_EQ(conversion.error().code, ErrorCode::config) << conversion.error().message << text;
            continue;
        }
        expressible++;
        EXPECT_TRUE(conversion->proof.whole);
        const SetSearch search(conversion->plan.sets, GetParam());
        for (std::size_t i = seed % 7; i < packets.size(); i += 7)
            ASSERT_EQ(ask_ruleset(conversion->ruleset, packets[i]).drop, sets_drop(search, packets[i]))
                << packet_text(packets[i]) << "\nseed " << seed << "\n"
                << text << conversion->files[0].text;
    }
    EXPECT_GT(expressible, 60U);
}

TEST_P(ImportFamilies, TheProofFindsWhatIsWrong) {
    const auto packets = world(GetParam());
    unsigned wrong = 0;
    for (unsigned seed = 1; seed <= 80; seed++) {
        const auto conversion =
            convert_ruleset(Maker(seed, GetParam() == SW_IPV6).ruleset(), "t", {}, few(seed));
        if (!conversion || conversion->plan.sets.empty()) continue;
        std::mt19937 random(seed);
        auto sets = conversion->plan.sets;
        auto& set = sets[random() % sets.size()];
        const std::size_t victim = random() % set.entries.size();
        switch (seed % 4) {
            case 0:
                set.entries.erase(set.entries.begin() + static_cast<std::ptrdiff_t>(victim));
                break;
            case 1:
                set.entries[victim].drop ^= true;
                break;
            case 2:
                std::reverse(sets.begin(), sets.end());
                break;
            default:
                if (set.entries[victim].service &&
                    set.entries[victim].service->last > set.entries[victim].service->first)
                    set.entries[victim].service->last--;
                else if (set.entries[victim].source.length < 20)
                    set.entries[victim].source.length++;
        }
        const SetSearch search(sets, GetParam());
        bool differs = false;
        for (const TestPacket& packet : packets)
            differs |= ask_ruleset(conversion->ruleset, packet).drop != sets_drop(search, packet);
        const auto rules = flatten(conversion->ruleset, GetParam());
        ASSERT_TRUE(rules);
        Proof proof;
        verify(conversion->ruleset, *rules, sets, few(seed), proof);
        // The world has not all packets that the proof knows, but the proof knows all of the world.
        if (differs) {
            wrong++;
            EXPECT_TRUE(proof.counterexample) << "seed " << seed;
        }
        // And by packets alone, where the proof is too long.
        Proof sampled;
        verify(conversion->ruleset, *rules, sets, {.random_packets = 10'000, .seed = seed, .most_steps = 0},
               sampled);
        EXPECT_EQ(sampled.counterexample.has_value(), proof.counterexample.has_value()) << "seed " << seed;
    }
    EXPECT_GT(wrong, 20U);
}

// As if the kernel had them.
std::vector<ExportedSet> as_read(const std::vector<PlannedSet>& sets) {
    std::vector<ExportedSet> read;
    for (const PlannedSet& set : sets) {
        ExportedSet& one = read.emplace_back();
        one.header.name = set.name;
        one.header.kind = set.kind;
        one.header.family = set.family;
        for (const PlannedEntry& entry : set.entries) {
            const ServiceRange range = entry.service.value_or(ServiceRange{});
            for (unsigned port = range.first; port <= range.last; port++)
                one.entries.push_back({.prefix = entry.source.prefix(set.family),
                                       .port = static_cast<std::uint16_t>(port),
                                       .protocol = range.protocol,
                                       .interface = entry.interface,
                                       .mark = set.mark(entry),
                                       .mask = SW_MARK_CLASS_MASK,
                                       .comment = entry.comment});
        }
    }
    return read;
}

TEST_P(ImportFamilies, WhatIsExportedMeansTheSame) {
    const auto packets = world(GetParam());
    unsigned compared = 0;
    for (unsigned seed = 1; seed <= 40; seed++) {
        const auto conversion =
            convert_ruleset(Maker(seed, GetParam() == SW_IPV6).ruleset(), "t", {}, few(seed));
        if (!conversion) continue;
        const auto exported = export_sets(as_read(conversion->plan.sets), Fates(),
                                          {.format = ExportFormat::iptables, .family = GetParam()});
        ASSERT_TRUE(exported) << exported.error().message;
        const auto again = convert_ruleset(exported->text, "t", {}, few(seed));
        ASSERT_TRUE(again) << again.error().message << exported->text;
        compared++;
        for (std::size_t i = seed % 7; i < packets.size(); i += 7)
            ASSERT_EQ(ask_ruleset(conversion->ruleset, packets[i]).drop,
                      ask_ruleset(again->ruleset, packets[i]).drop)
                << packet_text(packets[i]) << "\nseed " << seed << "\n"
                << exported->text;
    }
    EXPECT_GT(compared, 25U);
}

// A ruleset some of whose sources expire, as elements of nft's sets do.
Result<Ruleset> expiring(unsigned seed, bool ipv6) {
    Maker random(seed, ipv6);
    auto ruleset = parse_ruleset(random.ruleset(), {});
    if (!ruleset) return ruleset;
    for (SourceChain& chain : ruleset->chains)
        for (SourceRule& rule : chain.rules)
            if (rule.match.sources && random.below(2))
                for (RuleSource& source : *rule.match.sources) source.timeout = 60 * (1 + random.below(3));
    return ruleset;
}
constexpr std::uint32_t moments[] = {0, 59, 60, 120, 150, 180};

TEST_P(ImportFamilies, SetsDecideAsRulesThatExpire) {
    const auto packets = world(GetParam());
    unsigned expressible = 0;
    unsigned wrong = 0;
    for (unsigned seed = 1; seed <= 60; seed++) {
        const auto ruleset = expiring(seed, GetParam() == SW_IPV6);
        ASSERT_TRUE(ruleset) << ruleset.error().message;
        const auto rules = flatten(*ruleset, GetParam());
        if (!rules) continue;
        Plan plan;
        const auto planned = plan_sets(*ruleset, *rules, "t", {}, plan);
        ASSERT_TRUE(planned) << planned.error().message;
        ASSERT_LE(plan.sets.size(), 64U);
        expressible++;
        Proof proof;
        verify(*ruleset, *rules, plan.sets, few(seed), proof);
        EXPECT_TRUE(proof.whole);
        EXPECT_FALSE(proof.counterexample) << *proof.counterexample << "\nseed " << seed;
        const auto differs = [&](const std::vector<PlannedSet>& sets) {
            const SetSearch search(sets, GetParam());
            for (std::size_t i = seed % 31; i < packets.size(); i += 31)
                for (const std::uint32_t moment : moments) {
                    TestPacket packet = packets[i];
                    packet.after = moment;
                    if (ask_ruleset(*ruleset, packet).drop != sets_drop(search, packet))
                        return packet_text(packet);
                }
            return std::string();
        };
        EXPECT_EQ(differs(plan.sets), "") << "seed " << seed;
        // And the proof finds entries that stay too long.
        auto sets = plan.sets;
        for (PlannedSet& set : sets)
            for (PlannedEntry& entry : set.entries)
                if (entry.timeout != 0) entry.timeout += 30;
        if (differs(sets).empty()) continue;
        wrong++;
        verify(*ruleset, *rules, sets, few(seed), proof);
        EXPECT_TRUE(proof.counterexample) << "seed " << seed;
    }
    EXPECT_GT(expressible, 25U);
    EXPECT_GT(wrong, 10U);
}

INSTANTIATE_TEST_SUITE_P(Both, ImportFamilies, testing::Values(SW_IPV4, SW_IPV6),
                         [](const auto& family) { return family.param == SW_IPV4 ? "IPv4" : "IPv6"; });

TEST(ImportSets, OneKindInAnyOrderIsOneSet) {
    std::string text = "*filter\n:INPUT DROP [0:0]\n";
    for (int i = 0; i < 50; i++) {
        text += "-A INPUT -s 198.18.0." + std::to_string(i) + "/32 -j ACCEPT\n";
        text += "-A INPUT -p tcp -m tcp --dport " + std::to_string(1000 + i) + " -j ACCEPT\n";
    }
    const auto conversion = convert_ruleset(text + "COMMIT\n", "t", {}, few(1));
    ASSERT_TRUE(conversion) << conversion.error().message;
    ASSERT_EQ(conversion->plan.sets.size(), 2U);
    EXPECT_EQ(conversion->plan.sets[0].kind, SetKind::net_port);
    EXPECT_EQ(conversion->plan.sets[1].kind, SetKind::net);
}

TEST(ImportSets, HostsAloneNeedNoPrefixes) {
    const auto conversion = convert_ruleset(
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1 -j DROP\n-A INPUT -s 192.0.2.2 -p tcp --dport 5 "
        "-j DROP\nCOMMIT\n",
        "t", {}, few(1));
    ASSERT_TRUE(conversion) << conversion.error().message;
    ASSERT_EQ(conversion->plan.sets.size(), 2U);
    EXPECT_EQ(conversion->plan.sets[0].kind, SetKind::ip);
    EXPECT_EQ(conversion->plan.sets[1].kind, SetKind::ip_port);
}

TEST(ImportSets, TooManyTurnsAreRefused) {
    std::string text = "*filter\n:INPUT ACCEPT [0:0]\n";
    // Each overlaps all others, with the other verdict.
    for (int i = 32; i > 0; i--) {
        text += "-A INPUT -s 198.18.0.0/" + std::to_string(i) + " -j DROP\n";
        text += "-A INPUT -p tcp -m tcp --dport " + std::to_string(i) + " -j ACCEPT\n";
    }
    text += "-A INPUT -i eth0 -j ACCEPT\n-A INPUT -j DROP\n";
    const auto conversion = convert_ruleset(text + "COMMIT\n", "t", {}, few(1));
    ASSERT_FALSE(conversion);
    EXPECT_THAT(conversion.error().message, HasSubstr("take turns so often"));
}

// The kernel's search ends at the longest network that is there, be it for other interfaces.
TEST(ImportSets, NoInterfaceHidesAnother) {
    const auto conversion = convert_ruleset(
        "*filter\n:INPUT DROP [0:0]\n-A INPUT -i eth0 -s 198.18.0.0/25 -j DROP\n"
        "-A INPUT -i eth1 -s 198.18.0.0/24 -j ACCEPT\n-A INPUT -i eth2 -s 198.18.1.0/24 -j ACCEPT\nCOMMIT\n",
        "t", {}, few(1));
    ASSERT_TRUE(conversion) << conversion.error().message;
    std::vector<PlannedSet> sets = conversion->plan.sets;
    ASSERT_EQ(sets.size(), 3U) << conversion->files[0].text;
    EXPECT_EQ(sets[0].kind, SetKind::net_iface);
    EXPECT_EQ(sets[0].entries.size(), 2U) << "eth0 and eth2 do not mind each other";
    EXPECT_EQ(sets[1].kind, SetKind::net_iface);
    const TestPacket packet{SW_IPV4, address_number(*Address::parse("198.18.0.1")), "eth1", 6, 80};
    EXPECT_FALSE(sets_drop(SetSearch(sets, SW_IPV4), packet));

    // All of them in one set: the packet is dropped, and the proof knows.
    sets[0].entries.push_back(sets[1].entries.at(0));
    sets.erase(sets.begin() + 1);
    EXPECT_TRUE(sets_drop(SetSearch(sets, SW_IPV4), packet));
    const auto rules = flatten(conversion->ruleset, SW_IPV4);
    ASSERT_TRUE(rules);
    Proof proof;
    verify(conversion->ruleset, *rules, sets, {.random_packets = 0}, proof);
    ASSERT_TRUE(proof.counterexample);
    EXPECT_THAT(*proof.counterexample, HasSubstr("a packet from 198.18.0.0 in by eth1"));
}

}  // namespace
}  // namespace synward
