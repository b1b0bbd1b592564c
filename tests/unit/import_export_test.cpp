// SPDX-License-Identifier: GPL-2.0-or-later
// Sets written as rules decide as the sets do, or are refused with set and entry; written as
// sets, nothing of them is lost.
#include <gmock/gmock.h>

#include <map>
#include <random>

#include "lib/import/evaluate.h"
#include "lib/import/export.h"
#include "lib/sets/contents.h"
#include "lib/sets/index.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

ExportedEntry for_source(const char* prefix, std::uint32_t mark, std::uint32_t mask = 0xff) {
    ExportedEntry entry;
    entry.prefix = *Prefix::parse(prefix);
    entry.mark = mark;
    entry.mask = mask;
    return entry;
}

ExportedEntry by_interface(const char* prefix, const char* interface, std::uint32_t mark) {
    ExportedEntry entry = for_source(prefix, mark);
    entry.interface = interface;
    return entry;
}

ExportedSet a_set(std::string name, SetKind kind, std::vector<ExportedEntry> entries) {
    ExportedSet set;
    set.header.name = std::move(name);
    set.header.kind = kind;
    set.header.type = set_kind_type(kind);
    set.header.family = entries.empty() ? SW_IPV4 : entries[0].prefix.address.family;
    set.header.skbinfo = true;
    set.entries = std::move(entries);
    return set;
}

// The rules that were made, without what is around them; or why there are none.
std::string rules(const std::vector<ExportedSet>& sets, ExportFormat format = ExportFormat::iptables) {
    const auto result = export_sets(sets, Fates(), {.format = format});
    if (!result) return result.error().message;
    const std::string& text = result->text;
    const std::string first = format == ExportFormat::nft ? "related accept\n" : "ESTABLISHED -j ACCEPT\n";
    const std::size_t begin = text.find(first) + first.size();
    return text.substr(begin, text.rfind(format == ExportFormat::nft ? "\t}\n}\n" : "COMMIT\n") - begin);
}

std::vector<std::string> notes_of(const std::vector<ExportedSet>& sets, const ExportOptions& options = {}) {
    const auto result = export_sets(sets, Fates(), options);
    return result ? result->notes : std::vector{result.error().message};
}

TEST(ExportRules, NoFateEndsTheSearch) {
    const ExportedSet none = a_set("none", SetKind::net, {for_source("198.18.0.0/24", 0)});
    const ExportedSet deny = a_set("deny", SetKind::net, {for_source("198.18.0.0/16", SW_MARK_DENY)});
    EXPECT_EQ(rules({none, deny}),
              "-A INPUT -s 198.18.0.0/24 -j RETURN\n-A INPUT -s 198.18.0.0/16 -j DROP\n");
    EXPECT_EQ(rules({none, deny}, ExportFormat::nft),
              "\t\tip saddr 198.18.0.0/24 return\n\t\tip saddr 198.18.0.0/16 drop\n");
    EXPECT_THAT(notes_of({none, deny}), IsEmpty());
    // Inside a wider entry too.
    EXPECT_EQ(rules({a_set("both", SetKind::net,
                           {for_source("198.18.0.0/16", SW_MARK_DENY), for_source("198.18.1.0/24", 0)})}),
              "-A INPUT -s 198.18.1.0/24 -j RETURN\n-A INPUT -s 198.18.0.0/16 -j DROP\n");
}

TEST(ExportRules, WhatSaysNothingIsLeftOutWhereItHidesNothing) {
    ExportedEntry except = for_source("198.18.1.0/24", 0);
    except.nomatch = true;
    const ExportedEntry mute = for_source("198.18.2.0/24", 0x100, 0xff00);
    EXPECT_EQ(rules({a_set("mine", SetKind::net, {except, mute})}), "");
    EXPECT_THAT(notes_of({a_set("mine", SetKind::net, {except, mute})}),
                ElementsAre("mine: 2 entries that say nothing were left out"));
    const ExportedEntry wide = for_source("198.18.0.0/16", SW_MARK_DENY);
    // Inside a wider entry they are exceptions.
    EXPECT_EQ(rules({a_set("mine", SetKind::net, {wide, except, mute})}),
              "-A INPUT -s 198.18.1.0/24 -j RETURN\n-A INPUT -s 198.18.2.0/24 -j RETURN\n"
              "-A INPUT -s 198.18.0.0/16 -j DROP\n");
    EXPECT_THAT(notes_of({a_set("mine", SetKind::net, {wide, except, mute})}), IsEmpty());
    // In a list it keeps the look-up from the members behind.
    ExportedSet first = a_set("first", SetKind::net, {mute});
    ExportedSet second = a_set("second", SetKind::net, {wide});
    first.list = second.list = "both";
    EXPECT_THAT(rules({first, second}), HasSubstr("first: 198.18.2.0/24 has no mark"));
    second.list.clear();
    EXPECT_EQ(rules({first, second}), "-A INPUT -s 198.18.0.0/16 -j DROP\n");
}

// Of what is an exception in a set, the next set is asked.
TEST(ExportRules, ExceptionsAskTheNextSet) {
    ExportedEntry except = for_source("198.18.1.0/24", 0);
    except.nomatch = true;
    const ExportedSet first =
        a_set("first", SetKind::net,
              {for_source("198.18.0.0/16", SW_MARK_DENY), except, for_source("198.18.1.8/29", 0)});
    const ExportedSet second = a_set("second", SetKind::net, {for_source("198.18.1.0/25", SW_MARK_DENY)});
    EXPECT_EQ(rules({first, second}),
              "-A synward-set-1 -s 198.18.1.8/29 -j ACCEPT\n-A synward-set-1 -s 198.18.1.0/24 -j RETURN\n"
              "-A synward-set-1 -s 198.18.0.0/16 -j DROP\n-A INPUT -j synward-set-1\n"
              "-A INPUT -s 198.18.1.0/25 -j DROP\n");
    EXPECT_THAT(export_sets({first, second}, Fates(), {})->text,
                HasSubstr(":OUTPUT ACCEPT [0:0]\n:synward-set-1 - [0:0]\n"));
    EXPECT_THAT(export_sets({first, second}, Fates(), {.format = ExportFormat::nft})->text,
                HasSubstr("\tchain synward-set-1 {\n\t\tip saddr 198.18.1.8/29 accept\n"
                          "\t\tip saddr 198.18.1.0/24 return\n\t\tip saddr 198.18.0.0/16 drop\n\t}\n"
                          "\tchain input {\n"));
    EXPECT_EQ(rules({first, second}, ExportFormat::nft),
              "\t\tjump synward-set-1\n\t\tip saddr 198.18.1.0/25 drop\n");
    // It has nothing to say of that.
    const ExportedSet other = a_set("other", SetKind::net, {for_source("198.18.2.0/24", SW_MARK_DENY)});
    EXPECT_THAT(rules({first, other}), HasSubstr("-A INPUT -s 198.18.1.0/24 -j RETURN\n"));
}

TEST(ExportRules, RefuseWhatTheyCannotSay) {
    ExportedEntry marked = for_source("198.18.0.1", SW_MARK_DENY);
    marked.packet_mark = 7;
    EXPECT_THAT(rules({a_set("mine", SetKind::ip_mark, {marked})}), HasSubstr("mine goes by packet marks"));
    const ExportedSet undefined = a_set("mine", SetKind::net, {for_source("203.0.113.1", 0x77)});
    EXPECT_EQ(rules({undefined}), "-A INPUT -s 203.0.113.1/32 -j RETURN\n");
    EXPECT_THAT(notes_of({undefined}), ElementsAre(HasSubstr("0x77")));
}

TEST(ExportRules, AskForWildcardsAndPortsOfBridges) {
    ExportedEntry all = by_interface("198.18.0.0/24", "eth", SW_MARK_DENY);
    all.wildcard = true;
    const ExportedEntry one = by_interface("198.18.0.0/24", "eth0", SW_MARK_ACCEPT);
    const ExportedSet both = a_set("mine", SetKind::net_iface, {all, one});
    // The name before what it begins with.
    EXPECT_EQ(rules({both}),
              "-A INPUT -s 198.18.0.0/24 -i eth0 -j ACCEPT\n-A INPUT -s 198.18.0.0/24 -i eth+ -j DROP\n");
    EXPECT_EQ(rules({both}, ExportFormat::nft),
              "\t\tiifname \"eth0\" ip saddr 198.18.0.0/24 accept\n\t\tiifname \"eth*\" ip saddr "
              "198.18.0.0/24 drop\n");
    // No name is longer.
    all.interface = "fifteen-letters";
    EXPECT_EQ(rules({a_set("mine", SetKind::net_iface, {all})}),
              "-A INPUT -s 198.18.0.0/24 -i fifteen-letters -j DROP\n");

    ExportedEntry port = by_interface("198.18.0.0/24", "veth1", SW_MARK_DENY);
    port.bridge_port = true;
    const ExportedSet bridge = a_set("mine", SetKind::net_iface, {port});
    EXPECT_EQ(rules({bridge}), "-A INPUT -s 198.18.0.0/24 -m physdev --physdev-in veth1 -j DROP\n");
    EXPECT_THAT(notes_of({bridge}), ElementsAre(HasSubstr("mine: 1 entries by the port of a bridge")));
    EXPECT_THAT(rules({bridge}, ExportFormat::nft),
                HasSubstr("mine: 198.18.0.0/24,physdev:veth1 is about the port of a bridge"));
    // What rules would take for something else.
    for (const char* name : {"eth+", "a b", "a\"b"})
        EXPECT_THAT(rules({a_set("mine", SetKind::net_iface, {by_interface("198.18.0.0/24", name, 0xd)})}),
                    HasSubstr("has an interface that no rule can name"));
}

// The kernel's search ends at the longest network that is there, be it for other interfaces.
TEST(ExportRules, LeaveOutWhatAnotherInterfaceHides) {
    const ExportedEntry narrow = by_interface("198.18.1.0/24", "eth0", SW_MARK_DENY);
    const ExportedEntry wide = by_interface("198.18.0.0/16", "eth1", SW_MARK_DENY);
    EXPECT_EQ(rules({a_set("mine", SetKind::net_iface, {wide, narrow})}),
              "-A INPUT -s 198.18.1.0/24 -i eth0 -j DROP\n-A INPUT -s 198.18.1.0/24 -i eth1 -j RETURN\n"
              "-A INPUT -s 198.18.0.0/16 -i eth1 -j DROP\n");
    const ExportedEntry own = by_interface("198.18.1.0/24", "eth1", SW_MARK_ACCEPT);
    EXPECT_THAT(rules({a_set("mine", SetKind::net_iface, {wide, narrow, own})}),
                HasSubstr("-i eth1 -j DROP"));
    ExportedEntry silent = by_interface("198.18.1.0/24", "eth1", 0);
    silent.nomatch = true;
    EXPECT_THAT(rules({a_set("mine", SetKind::net_iface, {wide, narrow, silent})}),
                HasSubstr("-A INPUT -s 198.18.1.0/24 -i eth1 -j RETURN\n"));
}

TEST(ExportRules, TellWhatIsLost) {
    ExportedEntry brief = for_source("198.18.0.1", SW_MARK_DENY);
    brief.timeout = 60;
    const ExportedSet four = a_set("four", SetKind::ip, {brief, for_source("198.18.0.2", SW_MARK_DENY)});
    const ExportedSet six = a_set("six", SetKind::ip, {for_source("2001:db8::1", SW_MARK_DENY)});
    EXPECT_THAT(notes_of({four, six}),
                ElementsAre("four: 1 entries that expire became rules that stay",
                            HasSubstr("six: left out, since it is of IPv6: --ipv6 writes")));
    EXPECT_THAT(notes_of({four, six}, {.family = SW_IPV6}),
                ElementsAre(HasSubstr("four: left out, since it is of IPv4")));
    EXPECT_THAT(notes_of({four, six}, {.format = ExportFormat::nft}),
                ElementsAre("four: 1 entries that expire became rules that stay"));
}

TEST(ExportRules, KeepComments) {
    ExportedEntry entry = for_source("198.18.0.1", SW_MARK_DENY);
    entry.comment = "a \\ 'b'";
    EXPECT_EQ(rules({a_set("mine", SetKind::ip, {entry})}),
              "-A INPUT -s 198.18.0.1/32 -m comment --comment \"a \\\\ 'b'\" -j DROP\n");
    EXPECT_EQ(rules({a_set("mine", SetKind::ip, {entry})}, ExportFormat::nft),
              "\t\tip saddr 198.18.0.1 drop comment \"a \\ 'b'\"\n");
    entry.comment = std::string(200, 'x');
    EXPECT_THAT(rules({a_set("mine", SetKind::ip, {entry})}, ExportFormat::nft),
                HasSubstr(" \"" + std::string(128, 'x') + "\"\n"));
    // Neighbouring ports are one range if all of it has one comment.
    std::vector<ExportedEntry> ports;
    for (const char* comment : {"web", "web", "other"}) {
        ports.push_back(for_source("198.18.0.1", SW_MARK_DENY));
        ports.back().protocol = 6;
        ports.back().port = static_cast<std::uint16_t>(80 + ports.size());
        ports.back().comment = comment;
    }
    EXPECT_EQ(rules({a_set("mine", SetKind::ip_port, ports)}),
              "-A INPUT -s 198.18.0.1/32 -p tcp -m tcp --dport 81:82 -m comment --comment \"web\" -j DROP\n"
              "-A INPUT -s 198.18.0.1/32 -p tcp -m tcp --dport 83 -m comment --comment \"other\" -j DROP\n");
}

TEST(ExportRules, HalvesAreNotPutBehindTheWhole) {
    EXPECT_EQ(
        rules({a_set("mine", SetKind::net,
                     {for_source("0.0.0.0/1", SW_MARK_DENY), for_source("128.0.0.0/1", SW_MARK_DENY)})}),
        "-A INPUT -j DROP\n");
    EXPECT_EQ(rules({a_set("mine", SetKind::net_iface,
                           {by_interface("0.0.0.0/0", "eth0", SW_MARK_ACCEPT),
                            by_interface("0.0.0.0/1", "eth0", SW_MARK_DENY),
                            by_interface("128.0.0.0/1", "eth0", SW_MARK_DENY)})}),
              "-A INPUT -s 0.0.0.0/1 -i eth0 -j DROP\n-A INPUT -s 128.0.0.0/1 -i eth0 -j DROP\n"
              "-A INPUT -i eth0 -j ACCEPT\n");
}

TEST(ExportSets, LoseNothing) {
    ExportedEntry entry = by_interface("198.18.0.0/24", "eth", 0x100);
    entry.mask = 0xff00;
    entry.wildcard = true;
    entry.timeout = 60;
    entry.packets = 3;
    entry.bytes = 180;
    entry.comment = "why";
    entry.priority = 0x1000a;
    entry.queue = 2;
    ExportedEntry except = by_interface("198.18.1.0/24", "veth1", 0);
    except.bridge_port = except.nomatch = true;
    ExportedSet full = a_set("full", SetKind::net_iface, {entry, except});
    full.header.hash_size = 2048;
    full.header.most = 5000;
    full.header.bucket_size = 8;
    full.header.timeout = full.header.counters = full.header.comment = full.header.forceadd = true;
    full.header.default_timeout = 300;
    ExportedSet masked = a_set("masked", SetKind::ip, {for_source("2001:db8::/64", 0, 0xff)});
    masked.header.netmask = 64;
    ExportedSet marks = a_set("marks", SetKind::ip_mark, {for_source("198.18.0.1", SW_MARK_DENY)});
    marks.header.packet_mark_mask = 0xffffff00;
    marks.entries[0].packet_mark = 0x700;
    ExportedSet ports = a_set("ports", SetKind::net_port, {for_source("198.18.0.0/24", SW_MARK_DENY)});
    ports.entries[0].protocol = 1;
    ports.entries[0].port = 8 << 8;
    ExportedSet list = a_set("all", SetKind::list, {});
    list.header.family.reset();
    list.header.skbinfo = false;
    list.header.most = 8;
    list.entries.resize(1);
    list.entries[0].member = "full";
    const auto result =
        export_sets({full, masked, marks, ports, full, list}, Fates(), {.format = ExportFormat::ipset});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->text,
              "create full hash:net,iface family inet hashsize 2048 maxelem 5000 bucketsize 8 timeout 300 "
              "counters comment skbinfo forceadd\n"
              "add full 198.18.0.0/24,eth timeout 60 wildcard packets 3 bytes 180 comment \"why\" skbmark "
              "0x100/0xff00 skbprio 1:a skbqueue 2\n"
              "add full 198.18.1.0/24,physdev:veth1 timeout 0 nomatch packets 0 bytes 0 skbmark 0x0/0xff\n"
              "create masked hash:ip family inet6 netmask 64 skbinfo\n"
              "add masked 2001:db8:: skbmark 0x0/0xff\n"
              "create marks hash:ip,mark family inet markmask 0xffffff00 skbinfo\n"
              "add marks 198.18.0.1,0x00000700 skbmark 0xd/0xff\n"
              "create ports hash:net,port family inet skbinfo\n"
              "add ports 198.18.0.0/24,icmp:echo-request skbmark 0xd/0xff\n"
              "create all list:set size 8\nadd all full\n");
    EXPECT_EQ(result->rules, 6U);
    EXPECT_THAT(result->notes, IsEmpty());
    masked.header.netmask = 0;
    masked.header.bitmask = Address::parse("ffff::ff");
    EXPECT_THAT(export_sets({masked}, Fates(), {.format = ExportFormat::ipset})->text,
                HasSubstr("create masked hash:ip family inet6 bitmask ffff::ff skbinfo\n"));
    EXPECT_THAT(export_sets({masked}, Fates(), {.family = SW_IPV6}).error().message,
                HasSubstr("masked has the bitmask ffff::ff"));
}

// Sets of few networks, ports and interfaces, as they might be read.
class RandomExport {
  public:
    explicit RandomExport(unsigned seed) : random_(seed) {}

    std::vector<ExportedSet> sets() {
        std::vector<ExportedSet> made;
        silent_ = below(3) == 0;
        for (unsigned count = 1 + below(3); count > 0; count--) made.push_back(set(made.size()));
        return made;
    }

  private:
    unsigned below(unsigned n) { return static_cast<unsigned>(random_() % n); }

    ExportedSet set(std::size_t number) {
        static constexpr SetKind kinds[] = {SetKind::net, SetKind::net_port, SetKind::net_iface};
        const SetKind kind = kinds[below(3)];
        std::map<std::string, ExportedEntry> entries;
        for (unsigned count = below(8); count > 0; count--) {
            const unsigned length = 27 + below(6);
            Prefix prefix = *Prefix::parse("198.18.0.0/27");
            prefix.length = length;
            prefix.address.bytes[3] = static_cast<std::uint8_t>(below(32) & 0xffU << (32 - length));
            static constexpr std::uint32_t marks[] = {0xd, 0xd, 0xb, 0, 0x77};
            ExportedEntry entry;
            entry.prefix = prefix;
            entry.mark = marks[below(5)];
            entry.mask = silent_ && below(8) == 0 ? 0xff00 : 0xff;
            entry.nomatch = silent_ && below(8) == 0;
            if (kind == SetKind::net_iface) entry.interface = below(2) ? "eth0" : "eth1";
            if (kind == SetKind::net_port) {
                entry.protocol = 6;
                entry.port = static_cast<std::uint16_t>(80 + below(3));
            }
            entries.emplace(prefix.to_string() + entry.interface + std::to_string(entry.port), entry);
        }
        ExportedSet made = a_set("s" + std::to_string(number), kind, {});
        for (const auto& [place, entry] : entries) made.entries.push_back(entry);
        return made;
    }

    std::mt19937 random_;
    bool silent_ = false;
};

// As the kernel looks them up.
SetIndex index_of(const std::vector<ExportedSet>& sets) {
    std::vector<std::shared_ptr<const SetContents>> contents;
    for (const ExportedSet& set : sets) {
        SetBuilder builder(set.header);
        for (const ExportedEntry& from : set.entries) {
            SetEntry entry;
            entry.prefix = from.prefix;
            entry.protocol = from.protocol;
            entry.port = from.port;
            entry.interface = from.interface;
            entry.nomatch = from.nomatch;
            entry.mark = from.mark;
            entry.mask = from.mask;
            builder.add(entry);
        }
        contents.push_back(std::move(builder).finish());
    }
    return SetIndex(std::move(contents));
}

TEST(ExportRules, DecideAsTheSets) {
    const Fates fates;
    unsigned chains = 0;
    for (unsigned seed = 1; seed <= 400; seed++) {
        const std::vector<ExportedSet> sets = RandomExport(seed).sets();
        const auto result = export_sets(sets, fates, {});
        ASSERT_TRUE(result) << result.error().message;
        if (result->text.find("-j synward-set-") != std::string::npos) chains++;
        const auto ruleset = parse_ruleset(result->text, {});
        ASSERT_TRUE(ruleset) << ruleset.error().message;
        const SetIndex index = index_of(sets);
        for (unsigned low = 0; low < 33; low++)
            for (const std::uint16_t port : {79, 80, 81, 82})
                for (const char* interface : {"eth0", "eth1", "eth2"}) {
                    Address source = *Address::parse("198.18.0.0");
                    source.bytes[3] = static_cast<std::uint8_t>(low);
                    const auto mark =
                        index.find({.source = source, .protocol = 6, .port = port, .interface = interface});
                    const Fate* fate = fates.find(mark.value_or(0));
                    const TestPacket packet{SW_IPV4, address_number(source), interface, 6, port};
                    ASSERT_EQ(ask_ruleset(*ruleset, packet).drop, fate && fate->verdict == FateVerdict::drop)
                        << packet_text(packet) << "\nseed " << seed << "\n"
                        << result->text << export_sets(sets, fates, {.format = ExportFormat::ipset})->text;
                }
    }
    EXPECT_GT(chains, 20U);
}

}  // namespace
}  // namespace synward
