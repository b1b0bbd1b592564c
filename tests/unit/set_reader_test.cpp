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

    // As `ipset save` writes it, but for the seconds left.
    static std::string line(const std::string& set, const SetHeader& header, const SetEntry& e) {
        std::string text = fmt::format("add {} ", set);
        if (header.kind == SetKind::list) return text + std::string(e.member);
        text += e.prefix.to_string();
        if (header.kind == SetKind::ip_port || header.kind == SetKind::net_port)
            text += fmt::format(",{}:{}", e.protocol == 6 ? "tcp" : "udp", e.port);
        if (header.kind == SetKind::net_iface)
            text += fmt::format(",{}{}", e.bridge_port ? "physdev:" : "", e.interface);
        if (e.wildcard) text += " wildcard";
        if (header.timeout) text += fmt::format(" timeout {}", e.timeout ? "N" : "0");
        if (e.nomatch) text += " nomatch";
        if (header.counters) text += fmt::format(" packets {} bytes {}", e.packets, e.bytes);
        if (!e.text.empty()) text += fmt::format(" comment \"{}\"", e.text);
        if (e.mark || e.mask)
            text += e.mask == 0xffffffff ? fmt::format(" skbmark {:#x}", e.mark)
                                         : fmt::format(" skbmark {:#x}/{:#x}", e.mark, e.mask);
        return text;
    }
    std::vector<std::string> mine(const std::string& name) {
        const auto header = reader_->header(name);
        EXPECT_TRUE(header) << header.error().message;
        std::vector<std::string> lines;
        const auto read =
            reader_->read(name, [&](const SetEntry& e) { lines.push_back(line(name, *header, e)); });
        EXPECT_TRUE(read) << read.error().message;
        std::sort(lines.begin(), lines.end());
        return lines;
    }
    static std::vector<std::string> saved(const std::string& name) {
        std::istringstream text(output("ipset save " + name));
        std::vector<std::string> lines;
        for (std::string line; std::getline(text, line);)
            if (line.starts_with("add"))
                lines.push_back(std::regex_replace(line, std::regex("timeout [1-9][0-9]*"), "timeout N"));
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
