// SPDX-License-Identifier: GPL-2.0-or-later
// What is read of the kernel's sets, beside what `ipset save` says of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <regex>
#include <sstream>
#include <thread>

#include "lib/sets/entry_words.h"
#include "lib/sets/reader.h"
#include "namespace.h"
#include "set_random.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SetReaderTest : public testing::Test {
  protected:
    void SetUp() override {
        auto reader = SetReader::open();
        ASSERT_TRUE(reader) << reader.error().message;
        reader_.emplace(std::move(*reader));
    }

    // But for the seconds left.
    static std::string without_time(const std::string& line) {
        return std::regex_replace(line, std::regex(" timeout [1-9][0-9]*"), " timeout N");
    }
    std::vector<std::string> mine(const std::string& name) {
        const auto header = reader_->header(name);
        EXPECT_TRUE(header) << header.error().message;
        std::vector<std::string> lines;
        const auto read = reader_->read(
            name, [&](const SetEntry& e) { lines.push_back(without_time(save_line(*header, e))); });
        EXPECT_TRUE(read) << read.error().message;
        std::sort(lines.begin(), lines.end());
        return lines;
    }
    static std::vector<std::string> saved(const std::string& name) {
        std::istringstream text(output("ipset save " + name));
        std::vector<std::string> lines;
        for (std::string line; std::getline(text, line);)
            if (line.starts_with("add")) lines.push_back(without_time(line));
        std::sort(lines.begin(), lines.end());
        return lines;
    }
    SetHeader header(const std::string& name) {
        const auto header = reader_->header(name);
        EXPECT_TRUE(header) << header.error().message;
        return header.value_or(SetHeader{});
    }

    TestNamespace space_;
    std::optional<SetReader> reader_;
};

TEST_F(SetReaderTest, ReadsWhatSaveWrites) {
    RandomSets random(1);
    unsigned number = 0;
    for (const std::string& type : set_types())
        for (const bool v6 : {false, true})
            for (const char* options : {"skbinfo", "skbinfo timeout 0 counters comment", "comment", ""}) {
                const std::string name = fmt::format("s{}", number++);
                SCOPED_TRACE(fmt::format("{} {} {}", type, v6 ? "inet6" : "inet", options));
                restore(random.set(name, type, v6, 300, options));
                const auto expected = saved(name);
                EXPECT_EQ(mine(name), expected);
                EXPECT_EQ(header(name).elements, expected.size());
            }
}

// One set for each type that carries verdicts, with all that its entries may say.
struct Wording {
    const char* type;
    std::vector<const char*> elements;  // with the address first
    bool v6 = false;
};
const std::vector<Wording>& wordings() {
    static const std::vector<Wording> all{
        {"hash:ip", {"198.18.0.1", "198.18.2.0-198.18.2.9"}},
        {"hash:ip netmask 28", {"198.18.0.77", "198.18.1.1"}},
        {"hash:net", {"198.18.0.0/24", "198.18.0.1", "198.18.1.0/28 nomatch", "198.18.2.0-198.18.2.10"}},
        {"hash:ip,port",
         {"198.18.0.1,80", "198.18.0.1,udp:53", "198.18.0.1,sctp:1-4", "198.18.0.1,udplite:5",
          "198.18.0.1,tcp:0", "198.18.0.1,gre:0", "198.18.0.1,esp:0", "198.18.0.1,ah:0", "198.18.0.1,igmp:0",
          "198.18.0.1,253:0"}},
        {"hash:net,port", {"198.18.0.0/24,80", "198.18.0.0/25,icmp:ping nomatch", "198.18.0.0/24,icmp:3/8"}},
        {"hash:net,iface",
         {"198.18.0.0/24,eth0", "198.18.0.0/24,eth wildcard", "198.18.0.0/25,eth wildcard nomatch",
          "198.18.0.0/24,physdev:veth1", "198.18.1.0/24,physdev:veth wildcard", "0.0.0.0/0,eth0"}},
        {"hash:ip,mark", {"198.18.0.1,0x700", "198.18.0.1,7"}},
        {"hash:ip", {"2001:db8::1"}, true},
        {"hash:ip netmask 64", {"2001:db8::1", "2001:db8:1::1"}, true},
        {"hash:net", {"2001:db8::/32", "2001:db8::1", "2001:db8::/48 nomatch"}, true},
        {"hash:ip,port",
         {"2001:db8::1,80", "2001:db8::1,udp:1-3", "2001:db8::1,esp:0", "2001:db8::1,udplite:5"},
         true},
        {"hash:net,port",
         {"2001:db8::/32,tcp:80", "2001:db8::/48,icmpv6:ping nomatch", "2001:db8::/32,icmpv6:200/7"},
         true},
        {"hash:net,iface",
         {"2001:db8::/32,eth0", "2001:db8::/32,eth wildcard", "::/0,eth0",
          "2001:db8::/48,physdev:eth1 nomatch"},
         true},
        {"hash:ip,mark", {"2001:db8::1,0x12340000"}, true}};
    return all;
}

TEST_F(SetReaderTest, WritesLinesAsSaveDoes) {
    constexpr const char* said[] = {"",
                                    "timeout 900 packets 3 bytes 180 comment \"a \\ 'b'\" skbmark 0xd/0xff",
                                    "skbmark 0x0/0xff skbprio 1:a skbqueue 2",
                                    "skbmark 0x12345630",
                                    "skbmark 0x0/0x0 skbprio 0:1",
                                    "skbmark 0x5/0x0 skbqueue 65535"};
    unsigned number = 0;
    for (const Wording& wording : wordings())
        for (const char* options : {"skbinfo", "timeout 300 counters comment skbinfo", ""}) {
            SCOPED_TRACE(fmt::format("{} {} {}", wording.type, wording.v6 ? "inet6" : "inet", options));
            const std::string name = fmt::format("s{}", number++);
            const bool all = std::string_view(options).size() > 10;
            std::string type = wording.type;
            if (const std::size_t blank = type.find(' '); blank != type.npos)
                type.insert(blank, wording.v6 ? " family inet6" : "");
            else if (wording.v6)
                type += " family inet6";
            if (output(fmt::format("ipset create {} {} {} && echo made", name, type, options)) != "made\n") {
                EXPECT_EQ(set_kind(type.substr(0, type.find(' '))), SetKind::ip_mark);  // not in every kernel
                continue;
            }
            std::string lines;
            unsigned turn = 0;
            for (const char* element : wording.elements)
                for (unsigned repeat = 0; repeat < (*options ? 3u : 1u); repeat++) {
                    std::string what = *options ? said[turn++ % std::size(said)] : "";
                    if (!all) what = what.substr(std::min(what.find("skb"), what.size()));
                    lines += fmt::format("add {} {} {}\n", name, element, what);
                }
            restore(lines);
            auto expected = saved(name);
            EXPECT_EQ(mine(name), expected);
            // And ipset takes them back.
            lines = fmt::format("flush {}\n", name);
            auto written = mine(name);
            // A name after a wildcard that fits it would be no entry of its own.
            std::stable_partition(written.begin(), written.end(), [](const std::string& line) {
                return line.find(" wildcard") == line.npos;
            });
            for (const std::string& line : written)
                lines += std::regex_replace(line, std::regex("timeout N"), "timeout 800") + '\n';
            restore(lines);
            EXPECT_EQ(saved(name), expected);
        }
    run("ipset create list list:set timeout 300 counters comment skbinfo");
    restore(
        "add list s0 timeout 900 packets 3 bytes 180 comment \"a b\" skbmark 0xd/0xff skbqueue 1\nadd list "
        "s3\n");
    EXPECT_EQ(mine("list"), saved("list"));
}

TEST_F(SetReaderTest, KnowsIpsetsWordsForIcmp) {
    std::string lines = "create a4 hash:ip,port\ncreate a6 hash:ip,port family inet6\n";
    for (unsigned type = 0; type < 256; type++)
        for (const unsigned code : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 255})
            lines += fmt::format("add a4 198.18.0.1,icmp:{0}/{1}\nadd a6 2001:db8::1,icmpv6:{0}/{1}\n", type,
                                 code);
    restore(lines);
    for (const char* name : {"a4", "a6"}) EXPECT_EQ(mine(name), saved(name));
}

TEST_F(SetReaderTest, MasksOfAddressesAreTheSets) {
    struct Masked {
        const char* type;
        const char* element;
        const char* bitmask;
    };
    for (const Masked& masked :
         {Masked{"hash:ip bitmask 255.255.0.255", "198.18.3.1", "255.255.0.255"},
          Masked{"hash:ip family inet6 bitmask ffff::ff", "2001:db8::7701", "ffff::ff"},
          Masked{"hash:ip,port netmask 24", "198.18.3.1,80", ""},
          Masked{"hash:ip,port bitmask 255.255.0.255", "198.18.3.1,80", "255.255.0.255"}}) {
        SCOPED_TRACE(masked.type);
        run("ipset destroy");
        // Linux 6.2
        if (output(fmt::format("ipset create m {} skbinfo && echo made", masked.type)) != "made\n") continue;
        run(fmt::format("ipset add m {} skbmark 0xd/0xff", masked.element));
        EXPECT_EQ(mine("m"), saved("m"));
        const auto bitmask = header("m").bitmask;
        EXPECT_EQ(bitmask ? bitmask->to_string() : "", masked.bitmask);
    }
}

TEST_F(SetReaderTest, ReadsManyPartsOfADump) {
    std::string lines = "create many hash:ip maxelem 100000 skbinfo\n";
    for (unsigned i = 0; i < 50000; i++)
        lines += fmt::format("add many 198.18.{}.{} skbmark {:#x}/0xff\n", i >> 8, i & 255, i % 255 + 1);
    restore(lines);
    EXPECT_EQ(mine("many"), saved("many"));
}

TEST_F(SetReaderTest, TellsWhatASetIs) {
    run("ipset create full hash:net,port family inet6 maxelem 70000 timeout 300 counters comment skbinfo");
    run("ipset add full 2001:db8::/32,tcp:80");
    const SetHeader full = header("full");
    EXPECT_EQ(full.type, "hash:net,port");
    EXPECT_EQ(full.kind, SetKind::net_port);
    EXPECT_EQ(full.family, SW_IPV6);
    EXPECT_TRUE(full.skbinfo && full.timeout && full.counters && full.comment);
    EXPECT_EQ(full.elements, 1u);
    EXPECT_EQ(full.most, 70000u);
    EXPECT_EQ(full.default_timeout, 300u);
    EXPECT_EQ(full.hash_size, 1024u);
    EXPECT_FALSE(full.forceadd);
    EXPECT_GT(full.memory, 100u);

    run("ipset create list list:set size 12");
    run("ipset add list full");
    EXPECT_EQ(header("list").kind, SetKind::list);
    EXPECT_FALSE(header("list").family);
    EXPECT_EQ(header("full").references, 1u);
    EXPECT_EQ(mine("list"), saved("list"));

    run("ipset create ports bitmap:port range 0-100 skbinfo");
    EXPECT_EQ(header("ports").kind, SetKind::other);
    const auto unread = reader_->read("ports", [](const SetEntry&) { FAIL(); });
    ASSERT_FALSE(unread);
    EXPECT_EQ(unread.error().code, ErrorCode::unsupported);
    EXPECT_THAT(unread.error().message, HasSubstr("'ports' is of type bitmap:port"));

    const auto all = reader_->headers();
    ASSERT_TRUE(all) << all.error().message;
    std::vector<std::string> names;
    for (const SetHeader& h : *all) names.push_back(h.name);
    std::sort(names.begin(), names.end());
    EXPECT_THAT(names, ElementsAre("full", "list", "ports"));
}

TEST_F(SetReaderTest, TheNetmaskOfASetIsTheLengthOfItsEntries) {
    run("ipset create masked hash:ip netmask 28 skbinfo");
    run("ipset add masked 198.18.0.77");
    std::vector<Prefix> found;
    ASSERT_TRUE(reader_->read("masked", [&](const SetEntry& e) { found.push_back(e.prefix); }));
    EXPECT_THAT(found, ElementsAre(*Prefix::parse("198.18.0.64/28")));
}

TEST_F(SetReaderTest, TellsWhatElseTheSetAndItsEntriesSay) {
    run("ipset create odd hash:ip hashsize 4096 bucketsize 6 timeout 0 skbinfo forceadd");
    run("ipset add odd 198.18.0.1 skbmark 0x0/0xff skbprio 1:1a skbqueue 3");
    const SetHeader odd = header("odd");
    EXPECT_TRUE(odd.timeout && odd.forceadd);
    EXPECT_EQ(odd.default_timeout, 0u);
    EXPECT_EQ(odd.hash_size, 4096u);
    EXPECT_EQ(odd.bucket_size, 6u);
    unsigned entries = 0;
    ASSERT_TRUE(reader_->read("odd", [&](const SetEntry& e) {
        entries++;
        EXPECT_EQ(e.mark, 0u);
        EXPECT_EQ(e.mask, 0xffu);
        EXPECT_EQ(e.priority, 0x1001au);
        EXPECT_EQ(e.queue, 3u);
    }));
    EXPECT_EQ(entries, 1u);
}

TEST_F(SetReaderTest, TheMaskOfMarksIsTheOneThatWasGiven) {
    if (output("ipset create marks hash:ip,mark markmask 0xffffff00 && echo made") != "made\n")
        GTEST_SKIP() << "this kernel has no hash:ip,mark";
    EXPECT_EQ(header("marks").packet_mark_mask, 0xffffff00u);
}

TEST_F(SetReaderTest, InterfacesMayBeWildcardsAndBridgePorts) {
    run("ipset create n hash:net,iface skbinfo");
    run("ipset add n 198.18.0.0/24,eth wildcard");
    run("ipset add n 198.18.1.0/24,physdev:eth1");
    EXPECT_EQ(mine("n"), saved("n"));
}

TEST_F(SetReaderTest, AnotherSetUnderTheNameHasAnotherHash) {
    for (const char* name : {"one", "two"}) run(fmt::format("ipset create {} hash:ip bucketsize 12", name));
    const SetHeader before = header("one");
    EXPECT_EQ(before, header("one"));
    run("ipset swap one two");
    EXPECT_NE(before.initval, header("one").initval);
    EXPECT_EQ(before.initval, header("two").initval);
}

TEST_F(SetReaderTest, SaysWhatIsMissing) {
    for (const std::string name : {"nobody", "", "a-name-that-is-longer-than-any-set-may-have"}) {
        const auto none = reader_->header(name);
        ASSERT_FALSE(none);
        EXPECT_EQ(none.error().code, ErrorCode::missing) << name;
        EXPECT_THAT(none.error().message, HasSubstr("'" + name + "'"));
    }
    // Asked again, it answers the new question.
    run("ipset create nobody hash:ip");
    EXPECT_TRUE(reader_->header("nobody"));
    EXPECT_TRUE(reader_->read("nobody", {}));
}

TEST_F(SetReaderTest, NeedsNetAdmin) {
    std::thread([&] {
        __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        __user_cap_data_struct none[2]{};
        ASSERT_EQ(syscall(SYS_capset, &head, none), 0);
        const auto reader = SetReader::open();
        ASSERT_FALSE(reader);
        EXPECT_EQ(reader.error().code, ErrorCode::privilege);
    }).join();
}

}  // namespace
}  // namespace synward
