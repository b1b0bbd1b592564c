// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of the kernel, exported and restored, are what they were: with `ipset save` as witness.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "lib/import/export.h"
#include "namespace.h"
#include "set_random.h"

namespace synward {
namespace {

// But for the start of the hashes, and the seconds that entries have left.
std::vector<std::string> saved() {
    std::istringstream text(output("ipset save"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) {
        line = std::regex_replace(line, std::regex(" initval 0x[0-9a-f]+"), "");
        if (line.starts_with("add"))
            line = std::regex_replace(line, std::regex(" timeout [1-9][0-9]*"), " timeout N");
        lines.push_back(line);
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

TEST(ExportRestoreTest, MakesTheSameSetsAgain) {
    const TestNamespace space;
    RandomSets random(1);
    std::vector<std::string> names;
    for (const std::string& type : set_types())
        for (const bool v6 : {false, true})
            for (const char* options : {"skbinfo", "timeout 300 counters comment skbinfo forceadd", ""}) {
                names.push_back(fmt::format("s{}", names.size()));
                restore(random.set(names.back(), type, v6, 200, options));
            }
    restore(
        "create all hash:net,iface hashsize 2048 maxelem 5000 bucketsize 6 timeout 0 counters comment "
        "skbinfo\n"
        "add all 198.18.0.0/24,eth1 skbmark 0xa/0xff\n"
        "add all 198.18.0.0/24,eth1 wildcard skbmark 0xb/0xff\n"
        "add all 198.18.0.0/24,eth wildcard timeout 900 packets 3 bytes 180 comment \"a \\ b\" skbmark "
        "0x0/0xff "
        "skbprio 1:a skbqueue 2\n"
        "add all 198.18.0.0/16,physdev:veth1 skbmark 0xd00/0xff00\n"
        "add all 198.18.1.0/24,eth0 nomatch\n"
        "create masked hash:ip family inet6 netmask 64 skbinfo\nadd masked 2001:db8::1 skbmark 0xd/0xff\n"
        "create list list:set size 12 comment\nadd list masked comment first\nadd list all\n");
    names.insert(names.end(), {"list", "all"});
    const auto expected = saved();

    auto reader = SetReader::open();
    ASSERT_TRUE(reader) << reader.error().message;
    const auto sets = read_sets_to_export(*reader, names);
    ASSERT_TRUE(sets) << sets.error().message;
    const auto result = export_sets(*sets, Fates(), {.format = ExportFormat::ipset});
    ASSERT_TRUE(result) << result.error().message;
    run("ipset destroy list");
    run("ipset destroy");
    restore(result->text);
    EXPECT_EQ(saved(), expected);
    // Which `ipset save` does not tell.
    const auto again = reader->header("s1");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(again->forceadd);
}

}  // namespace
}  // namespace synward
