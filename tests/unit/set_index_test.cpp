// SPDX-License-Identifier: GPL-2.0-or-later
// Look-ups beside the kernel's own (`ipset test`), and what of them the driver hook does.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "lib/sets/contents.h"
#include "lib/sets/index.h"
#include "lib/sets/ipset.h"
#include "namespace.h"
#include "set_random.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class SetIndexTest : public testing::Test {
  protected:
    void SetUp() override {
        auto reader = SetReader::open();
        ASSERT_TRUE(reader) << reader.error().message;
        reader_.emplace(std::move(*reader));
        auto session = Ipset::create();
        ASSERT_TRUE(session) << session.error().message;
        ipset_.emplace(std::move(*session));
        ASSERT_TRUE(fates_.add({"watch", 0x20, FateVerdict::go_on}));
    }
    std::shared_ptr<const SetContents> read(const std::string& name) {
        auto set = read_set(*reader_, name);
        EXPECT_TRUE(set) << set.error().message;
        return set ? *set : nullptr;
    }
    SetIndex index(const std::vector<std::string>& names) {
        std::vector<std::shared_ptr<const SetContents>> sets;
        for (const auto& name : names) sets.push_back(read(name));
        return SetIndex(sets);
    }
    bool kernel_finds(const std::string& set, const std::string& element) {
        const auto found = ipset_->run(fmt::format("test {} {}", set, element));
        if (!found) {
            EXPECT_THAT(found.error().message, HasSubstr("NOT in set")) << element;
        }
        return found.has_value();
    }
    static SetQuery query(const Address& source, unsigned port = 1, std::uint8_t protocol = 6,
                          std::string_view interface = "eth0") {
        return {source, protocol, static_cast<std::uint16_t>(port), interface, 0};
    }
    static Address address(bool v6, unsigned host) {
        return *Address::parse(v6 ? fmt::format("2001:db8::{:x}", host)
                                  : fmt::format("198.18.{}.{}", host >> 8, host & 255));
    }
    // The fate that the program's look-up finds among these: first for this port, then for every
    // port. Who is not found is checked.
    static sw_fate longest(const std::vector<SourceEntry>& entries, const Address& source,
                           std::uint32_t port = 1) {
        const SourceEntry* best = nullptr;
        for (const std::uint32_t wanted : {port, 0u}) {
            for (const SourceEntry& e : entries)
                if (e.port == wanted && e.prefix.contains(source) &&
                    (!best || e.prefix.length > best->prefix.length))
                    best = &e;
            if (best) break;
        }
        return best ? best->fate : SW_FATE_CHECK;
    }
    std::vector<std::string> driver(const std::vector<std::string>& names,
                                    const std::vector<std::string>& receivers = {"eth0"}) {
        std::vector<std::string> lines;
        for (const SourceEntry& e : index(names).at_driver(fates_, receivers))
            lines.push_back((e.fate == SW_FATE_DENY    ? "-"
                             : e.fate == SW_FATE_ALLOW ? "+"
                                                       : "0") +
                            e.prefix.to_string());
        return lines;
    }

    // "-198.18.0.1 at 80"
    std::vector<std::string> by_port(const std::vector<std::string>& names) {
        std::vector<std::string> lines;
        const auto entries = index(names).at_driver_by_port(fates_, {"eth0"});
        EXPECT_TRUE(entries);
        for (const SourceEntry& e : *entries)
            lines.push_back(fmt::format("{}{}{}", "0-+0"[e.fate], e.prefix.to_string(),
                                        e.port ? fmt::format(" at {}", e.port) : ""));
        return lines;
    }

    TestNamespace space_;
    std::optional<SetReader> reader_;
    std::optional<Ipset> ipset_;
    Fates fates_;
};

TEST_F(SetIndexTest, FindsWhatTheKernelFinds) {
    RandomSets random(2);
    unsigned number = 0, found = 0, missed = 0;
    for (const std::string& type : set_types())
        for (const bool v6 : {false, true})
            for (const unsigned size : {3u, 40u, 200u}) {
                const std::string name = fmt::format("s{}", number++);
                restore(random.set(name, type, v6, size));
                const auto set = read(name);
                // Every address, one before and one behind.
                for (unsigned host = 0; host < 1024; host++) {
                    const Address source = address(v6, host);
                    const unsigned port = 1 + random.below(4);
                    const std::uint8_t protocol = random.below(2) ? 6 : 17;
                    const std::string interface = fmt::format("eth{}", random.below(4));
                    std::string element = source.to_string();
                    if (type.ends_with("port"))
                        element += fmt::format(",{}:{}", protocol == 6 ? "tcp" : "udp", port);
                    if (type.ends_with("iface")) element += "," + interface;
                    const bool kernel = kernel_finds(name, element);
                    const auto answer = set->find(query(source, port, protocol, interface)).answer;
                    ASSERT_EQ(answer != SetContents::Answer::none, kernel) << type << " " << element << "\n"
                                                                           << output("ipset save " + name);
                    (kernel ? found : missed)++;
                }
            }
    EXPECT_GT(found, 1000u);
    EXPECT_GT(missed, 1000u);
}

TEST_F(SetIndexTest, AListIsItsMembersInOrder) {
    RandomSets random(3);
    for (unsigned round = 0; round < 10; round++) {
        const std::string tag = std::to_string(round);
        restore(random.set("a" + tag, "hash:net", false, 20) + random.set("b" + tag, "hash:ip", false, 60) +
                random.set("c" + tag, "hash:net", true, 20) + random.set("d" + tag, "hash:net", false, 20));
        run("ipset create l" + tag + " list:set");
        for (const char* name : {"d", "a", "c", "b"}) run(fmt::format("ipset add l{} {}{}", tag, name, tag));
        const auto list = read("l" + tag);
        ASSERT_THAT(list->members(), SizeIs(4));
        for (const bool v6 : {false, true})
            for (unsigned host = 0; host < 1024; host++) {
                const Address source = address(v6, host);
                bool any = false;
                for (const char* name : v6 ? std::vector{"c"} : std::vector{"a", "b", "d"})
                    any = any || kernel_finds(name + tag, source.to_string());
                const auto found = list->find(query(source));
                EXPECT_EQ(found.answer != SetContents::Answer::none, any) << source.to_string();
                // The first that has one, even if it says nothing.
                SetContents::Found first;
                for (const auto& member : list->members()) {
                    first = member->find(query(source));
                    if (first.answer != SetContents::Answer::none) break;
                }
                EXPECT_EQ(found.answer, first.answer);
                EXPECT_EQ(found.mark, first.mark);
            }
    }
}

// What the program finds is what find() says, for every address and port, whatever overlaps.
TEST_F(SetIndexTest, TheDriverDoesWhatFindSays) {
    RandomSets random(4);
    unsigned denied = 0, allowed = 0, at_ports = 0, certain = 0;
    for (unsigned round = 0; round < 60; round++) {
        const bool v6 = round % 2;
        std::vector<std::string> names;
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            names.push_back(fmt::format("r{}x{}", round, i));
            const std::string& type = set_types()[random.below(static_cast<unsigned>(set_types().size()))];
            restore(random.set(names.back(), type, v6, 5 + random.below(60)));
        }
        if (names.size() > 2) {
            run("ipset create l list:set");
            for (std::size_t i = 1; i < names.size(); i++) run("ipset add l " + names[i]);
            names = {names[0], "l", names[1]};
        }
        const SetIndex sets = index(names);
        const std::string interface = fmt::format("eth{}", random.below(4));
        const auto entries = sets.at_driver_by_port(fates_, {interface});
        ASSERT_TRUE(entries);
        for (std::size_t i = 1; i < entries->size(); i++)
            EXPECT_LT((*entries)[i - 1].place(), (*entries)[i].place());
        for (unsigned host = 0; host < 1100; host++) {
            const Address source = address(v6, host);
            for (unsigned port = 1; port <= 5; port++) {
                const auto mark = sets.find(query(source, port, 6, interface));
                const sw_fate wanted = mark ? fates_.at_driver(*mark) : SW_FATE_CHECK;
                ASSERT_EQ(longest(*entries, source, port), wanted)
                    << source.to_string() << " at " << port << output("ipset save");
                denied += wanted == SW_FATE_DENY;
                allowed += wanted == SW_FATE_ALLOW;
            }
        }
        for (const auto& e : *entries) {
            EXPECT_NE(e.fate, SW_FATE_NONE);
            at_ports += e.port != 0;
        }
        // By whichever of several devices the kernel gets a packet, it says the same.
        const std::vector<std::string> receivers{"eth1", interface, "eth2"};
        const auto sure = sets.at_driver(fates_, receivers);
        for (unsigned host = 0; host < 1100; host++) {
            const Address source = address(v6, host);
            const sw_fate fate = longest(sure, source);
            if (fate == SW_FATE_CHECK) continue;
            certain++;
            for (const std::string& receiver : receivers) {
                const auto mark = sets.find(query(source, 1, 6, receiver));
                ASSERT_EQ(mark ? fates_.at_driver(*mark) : SW_FATE_CHECK, fate)
                    << source.to_string() << " by " << receiver << output("ipset save");
            }
        }
        if (names.size() > 2) run("ipset destroy l");
        run("ipset destroy");
    }
    EXPECT_GT(denied, 1000u);
    EXPECT_GT(allowed, 1000u);
    EXPECT_GT(at_ports, 300u);
    EXPECT_GT(certain, 1000u);
}

TEST_F(SetIndexTest, WhatDependsOnTheDeviceActsWhereThereIsOne) {
    restore(
        "create i hash:net,iface skbinfo\n"
        "add i 198.18.0.0/24,eth0 skbmark 0xd/0xff\n"
        "add i 198.18.1.0/24,eth0.10 skbmark 0xd/0xff\n"
        "add i 198.18.2.0/24,br0 skbmark 0xd/0xff\n"
        "create n hash:net skbinfo\n"
        "add n 198.18.0.0/16 skbmark 0xa/0xff\n"
        "add n 203.0.113.0/24 skbmark 0xd/0xff\n");
    EXPECT_THAT(driver({"i"}), ElementsAre("-198.18.0.0/24"));
    EXPECT_THAT(driver({"i"}, {"br0"}), ElementsAre("-198.18.2.0/24")) << "a port of a bridge";
    EXPECT_THAT(driver({"i"}, {"eth0", "eth0.10"}), IsEmpty()) << "the tag is not looked at here";
    EXPECT_THAT(driver({"i", "n"}, {"eth0", "eth0.10"}),
                ElementsAre("+198.18.0.0/16", "0198.18.0.0/24", "0198.18.1.0/24", "-203.0.113.0/24"))
        << "br0 is none of its devices";
}

TEST_F(SetIndexTest, EntriesByPortActAtTheDriver) {
    restore(
        "create ports hash:ip,port skbinfo\n"
        "add ports 198.18.0.1,tcp:80 skbmark 0xa/0xff\n"
        "add ports 198.18.0.2,tcp:80 skbmark 0xd/0xff\n"
        "add ports 198.18.0.3,udp:80 skbmark 0xa/0xff\n"
        "add ports 198.18.1.1,tcp:443 skbmark 0xd/0xff\n"
        "create nets hash:net skbinfo\n"
        "add nets 198.18.0.0/24 skbmark 0xd/0xff\n"
        "create netports hash:net,port skbinfo\n"
        "add netports 198.18.0.0/16,tcp:443 skbmark 0xa/0xff\n"
        "add netports 198.18.1.0/24,tcp:443 nomatch\n");
    EXPECT_THAT(by_port({"ports"}),
                ElementsAre("+198.18.0.1 at 80", "-198.18.0.2 at 80", "-198.18.1.1 at 443"));
    // Only what differs from the entries for every port needs one.
    EXPECT_THAT(by_port({"ports", "nets"}),
                ElementsAre("-198.18.0.0/24", "+198.18.0.1 at 80", "-198.18.1.1 at 443"));
    // What the entries for every port say in a prefix for one port has to be said again.
    EXPECT_THAT(by_port({"nets", "netports"}), ElementsAre("-198.18.0.0/24", "+198.18.0.0/16 at 443",
                                                           "-198.18.0.0/24 at 443", "0198.18.1.0/24 at 443"));
    EXPECT_THAT(by_port({"netports", "nets"}),
                ElementsAre("-198.18.0.0/24", "+198.18.0.0/16 at 443", "0198.18.1.0/24 at 443"));
}

// Many ports of a wide prefix times many entries in it.
TEST_F(SetIndexTest, TooManyEntriesByPortAreRefused) {
    std::string lines = "create all hash:net,port skbinfo\ncreate hosts hash:ip skbinfo\n";
    for (unsigned port = 1; port <= 1500; port++)
        lines += fmt::format("add all 198.18.0.0/15,tcp:{} skbmark 0xd/0xff\n", port);
    const auto add_hosts = [&](unsigned from, unsigned to) {
        for (unsigned i = from; i < to; i++)
            lines += fmt::format("add hosts 198.18.{}.{} skbmark 0xa/0xff\n", i >> 8, i & 255);
        restore(lines);
        lines.clear();
    };
    add_hosts(0, 20);
    const auto few = index({"hosts", "all"}).at_driver_by_port(fates_, {"eth0"});
    ASSERT_TRUE(few);
    EXPECT_THAT(*few, SizeIs(20 + 1500 + 20 * 1500));
    add_hosts(20, 1500);
    EXPECT_FALSE(index({"hosts", "all"}).at_driver_by_port(fates_, {"eth0"}));
    EXPECT_THAT(index({"hosts", "all"}).at_driver(fates_, {"eth0"}), SizeIs(1500));
}

TEST_F(SetIndexTest, WhatDependsOnPortsIsLeftToTheKernel) {
    restore(
        "create ports hash:ip,port skbinfo\n"
        "add ports 198.18.0.1,tcp:80 skbmark 0xa/0xff\n"
        "add ports 198.18.0.2,tcp:80 skbmark 0xd/0xff\n"
        "add ports 198.18.0.3,udp:80 skbmark 0xa/0xff\n"
        "create nets hash:net skbinfo\n"
        "add nets 198.18.0.0/24 skbmark 0xd/0xff\n");
    // Allowed to port 80 only: the hook must not deny it, nor let it pass altogether.
    EXPECT_THAT(driver({"ports", "nets"}), ElementsAre("-198.18.0.0/24", "0198.18.0.1"));
    EXPECT_THAT(driver({"nets", "ports"}), ElementsAre("-198.18.0.0/24"));
    EXPECT_THAT(driver({"ports"}), IsEmpty());
}

TEST_F(SetIndexTest, MarksWithoutAFateDoNothingAndAreCounted) {
    restore(
        "create s hash:net skbinfo\n"
        "add s 198.18.0.0/29 skbmark 0xd/0xff\n"
        "add s 198.18.0.1 skbmark 0x77/0xff\n"
        "add s 198.18.0.2 skbmark 0x20/0xff\n"
        "add s 198.18.0.3\n"
        "add s 198.18.0.4 skbmark 0xa00/0xff00\n"
        "add s 198.18.0.5 skbmark 0xa/0xff\n");
    EXPECT_THAT(driver({"s"}), ElementsAre("-198.18.0.0/29", "0198.18.0.1", "0198.18.0.2", "0198.18.0.3",
                                           "0198.18.0.4", "+198.18.0.5"));
    EXPECT_THAT(index({"s"}).undefined(fates_), ElementsAre(UndefinedMark{"s", 0x77, 1}));
    EXPECT_EQ(index({"s"}).find(query(address(false, 1))), 0x77);
}

TEST_F(SetIndexTest, AnEntryWithoutABitOfTheByteLeavesItToTheNextSet) {
    restore(
        "create mute hash:net skbinfo\nadd mute 198.18.0.0/30 skbmark 0xd00/0xff00\n"
        "create none hash:net skbinfo\nadd none 198.18.0.0/31 skbmark 0x0/0xff\n"
        "create deny hash:net skbinfo\nadd deny 198.18.0.0/28 skbmark 0xd/0xff\n"
        "create l list:set\nadd l mute\nadd l deny\n");
    EXPECT_THAT(driver({"mute", "deny"}), ElementsAre("-198.18.0.0/28"));
    EXPECT_THAT(driver({"none", "deny"}), ElementsAre("-198.18.0.0/28", "0198.18.0.0/31"));
    EXPECT_EQ(index({"none", "deny"}).find(query(address(false, 1))), 0);
    // Within a list it ends the search of the list.
    EXPECT_THAT(driver({"l"}), ElementsAre("-198.18.0.0/28", "0198.18.0.0/30"));
    EXPECT_THAT(driver({"l", "deny"}), ElementsAre("-198.18.0.0/28"));
    EXPECT_EQ(index({"l"}).find(query(address(false, 1))), std::nullopt);
}

TEST_F(SetIndexTest, SourcesOfTheConfigComeFirst) {
    restore(
        "create s hash:ip skbinfo\nadd s 198.18.0.1 skbmark 0xd/0xff\nadd s 198.18.0.9 skbmark 0xd/0xff\n");
    SourcesConfig sources;
    sources.allow = {*Prefix::parse("198.18.0.0/29"), *Prefix::parse("2001:db8::/64")};
    sources.deny = {*Prefix::parse("198.18.0.2")};
    auto sets = sets_of(sources);
    sets.push_back(read("s"));
    std::vector<std::string> lines;
    for (const SourceEntry& e : SetIndex(sets).at_driver(fates_, {"eth0"}))
        lines.push_back((e.fate == SW_FATE_DENY ? "-" : "+") + e.prefix.to_string());
    EXPECT_THAT(lines, ElementsAre("+198.18.0.0/29", "-198.18.0.2", "-198.18.0.9", "+2001:db8::/64"));
}

TEST_F(SetIndexTest, TellsWhatChanged) {
    restore(
        "create s hash:net skbinfo comment\nadd s 198.18.0.0/24 skbmark 0xd/0xff\nadd s 198.18.1.1\nadd s "
        "198.18.1.2\n");
    const auto before = read("s");
    restore("add s 198.18.1.2 comment word\n");
    std::vector<Prefix> changed;
    EXPECT_EQ(SetContents::difference(*before, *read("s"), changed, 100), 0u);
    run("ipset del s 198.18.1.1");
    restore("add s 198.18.0.0/24 skbmark 0xa/0xff\nadd s 198.18.3.0/25\n");
    EXPECT_EQ(SetContents::difference(*before, *read("s"), changed, 100), 3u);
    EXPECT_THAT(changed, UnorderedElementsAre(*Prefix::parse("198.18.0.0/24"), *Prefix::parse("198.18.1.1"),
                                              *Prefix::parse("198.18.3.0/25")));
    changed.clear();
    EXPECT_EQ(SetContents::difference(*before, *read("s"), changed, 2), 3u);
    EXPECT_EQ(changed.size(), 2u);
}

TEST_F(SetIndexTest, SaysWhyASetDoesNotFit) {
    run("ipset create bare hash:ip family inet6");
    run("ipset create ports bitmap:port range 0-9 skbinfo");
    const auto bare = read_set(*reader_, "bare");
    ASSERT_FALSE(bare);
    EXPECT_EQ(bare.error().code, ErrorCode::unsupported);
    EXPECT_THAT(bare.error().message, HasSubstr("ipset create bare hash:ip family inet6 skbinfo"));
    const auto ports = read_set(*reader_, "ports");
    ASSERT_FALSE(ports);
    EXPECT_THAT(ports.error().message, HasSubstr("'ports' is of type bitmap:port"));
}

TEST_F(SetIndexTest, AMillionEntries) {
    std::string lines = "create big hash:ip maxelem 1100000 hashsize 262144 skbinfo\n";
    for (unsigned i = 0; i < 1'000'000; i++)
        lines +=
            fmt::format("add big 198.{}.{}.{} skbmark 0xd/0xff\n", 16 + (i >> 16), i >> 8 & 255, i & 255);
    restore(lines);
    const auto clock = std::chrono::steady_clock::now;
    const auto begin = clock();
    const SetIndex sets = index({"big"});
    const auto read = clock();
    const auto entries = sets.at_driver(fates_, {"eth0"});
    const auto resolved = clock();
    EXPECT_EQ(entries.size(), 1'000'000u);
    SetChange change{{.prefix = *Prefix::parse("198.20.0.9")}, true};
    std::vector<Prefix> changed;
    const auto told = clock();
    const auto with = sets.sets()[0]->with({&change, 1}, changed);
    ASSERT_TRUE(with);
    const auto near = SetIndex({with}).at_driver_within(changed.at(0), fates_, {"eth0"});
    const auto taken = clock();
    EXPECT_EQ(with->size(), 999'999u);
    EXPECT_THAT(near, testing::Optional(IsEmpty()));
    const auto ms = [](auto d) { return std::chrono::duration<double, std::milli>(d).count(); };
    std::printf(
        "a million entries: read and sorted in %.0f ms, resolved in %.0f ms, one that is told in %.1f ms, "
        "%.1f MB\n",
        ms(read - begin), ms(resolved - read), ms(taken - told),
        static_cast<double>(sets.sets()[0]->memory()) / 1e6);
}

}  // namespace
}  // namespace synward
