// SPDX-License-Identifier: GPL-2.0-or-later
// Sets decide as the rules did, for rules of every kind in every order; the proof finds
// every mistake that is planted into the sets; and what is exported is the same again.
#include <gmock/gmock.h>

#include <random>

#include "lib/import/convert.h"
#include "lib/import/evaluate.h"
#include "lib/import/export.h"

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
                one.entries.push_back({entry.source.prefix(set.family), static_cast<std::uint16_t>(port),
                                       range.protocol, set.mark(entry), false, entry.interface, 0});
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

TEST(ExportSets, RefusesWhatRulesCannotSay) {
    ExportedSet set;
    set.header.name = "mine";
    set.header.kind = SetKind::net;
    set.header.family = SW_IPV4;
    set.entries.push_back({*Prefix::parse("198.18.0.0/16"), 0, 0, SW_MARK_DENY, false, "", 0});
    set.entries.push_back({*Prefix::parse("198.18.1.0/24"), 0, 0, 0, true, "", 0});
    const auto exception = export_sets({set}, Fates(), {});
    ASSERT_FALSE(exception);
    EXPECT_THAT(exception.error().message, HasSubstr("mine: 198.18.1.0/24 is an exception"));
    set.entries.pop_back();
    set.entries.push_back({*Prefix::parse("203.0.113.1"), 0, 0, 0x77, false, "", 0});
    const auto undefined = export_sets({set}, Fates(), {});
    ASSERT_TRUE(undefined);
    EXPECT_THAT(undefined->text,
                HasSubstr("-A INPUT -s 203.0.113.1/32 -j RETURN\n-A INPUT -s 198.18.0.0/16 -j DROP\n"));
    EXPECT_THAT(undefined->notes.at(0), HasSubstr("0x77"));
    set.header.kind = SetKind::ip_mark;
    EXPECT_FALSE(export_sets({set}, Fates(), {}));
}

}  // namespace
}  // namespace synward
