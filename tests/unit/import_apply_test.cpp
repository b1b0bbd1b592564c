// SPDX-License-Identifier: GPL-2.0-or-later
// An import into the kernel that fails half-way, with ipset and nft as witnesses: the old
// entries are never lost.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "lib/classify/fate_rule.h"
#include "lib/import/apply.h"
#include "lib/sets/reader.h"
#include "namespace.h"
#include "set_random.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr unsigned many = 20'000;  // more than one datagram of a dump holds

class ImportApplyTest : public testing::Test {
  protected:
    void SetUp() override {
        for (const char* name : {"t4-1", "t4-2"}) {
            plan_.sets.push_back(
                {.name = name,
                 .kind = SetKind::ip,
                 .entries = {{.source = Block::of(*Prefix::parse("203.0.113.7")), .drop = true}}});
        }
    }
    static void make_old_sets() {
        for (const char* name : {"t4-1", "t4-2"}) {
            std::string lines = fmt::format("create {} hash:ip maxelem 65536 skbinfo\n", name);
            for (unsigned i = 0; i < many; i++)
                lines += fmt::format("add {} 198.18.{}.{} skbmark 0xd/0xff\n", name, i >> 8, i & 255);
            restore(lines);
        }
    }
    // Elements of that set; 0 for one that is not there.
    static unsigned size(const std::string& name) {
        auto reader = SetReader::open();
        if (!reader) return 0;
        const auto header = reader->header(name);
        return header ? header->elements : 0;
    }
    static bool is_there(const std::string& name) {
        return output("ipset list -n").find(name + "\n") != std::string::npos;
    }
    // Calls `work` while a dump of that set is under way, so that the kernel does not move it.
    template <typename Work>
    static void while_read(const std::string& name, const Work& work) {
        auto reader = SetReader::open();
        ASSERT_TRUE(reader) << reader.error().message;
        bool done = false;
        const auto read = reader->read(name, [&](const SetEntry&) {
            if (!std::exchange(done, true)) work();
        });
        EXPECT_TRUE(read) << read.error().message;
        EXPECT_TRUE(done);
    }

    TestNamespace space_;
    Plan plan_;
};

TEST_F(ImportApplyTest, ReplacesWhatIsThere) {
    make_old_sets();
    const auto applied = apply_plan(plan_, "t", {});
    ASSERT_TRUE(applied) << applied.error().message;
    EXPECT_EQ(applied->replaced.size(), 2u);
    EXPECT_THAT(applied->left, IsEmpty());
    EXPECT_EQ(size("t4-1"), 1u);
    EXPECT_EQ(size("t4-2"), 1u);
    EXPECT_FALSE(is_there("t4-1-new"));
    EXPECT_EQ(find_fate_rule({}).value().state, RuleState::exact);
}

TEST_F(ImportApplyTest, WaitsForWhoReadsASet) {
    make_old_sets();
    std::atomic<bool> reading = false;
    std::thread reader([&] {
        while_read("t4-1", [&] {
            reading = true;
            std::this_thread::sleep_for(500ms);
        });
    });
    while (!reading) std::this_thread::yield();
    const auto applied = apply_plan(plan_, "t", {});
    reader.join();
    ASSERT_TRUE(applied) << applied.error().message;
    EXPECT_EQ(size("t4-1"), 1u);
    EXPECT_FALSE(is_there("t4-1-new"));
}

TEST_F(ImportApplyTest, WhatCannotBeExchangedIsPutBack) {
    make_old_sets();
    while_read("t4-2", [&] {
        const auto applied = apply_plan(plan_, "t", {}, 200ms);
        ASSERT_FALSE(applied);
        EXPECT_THAT(applied.error().message, Not(HasSubstr("could not be put back")));
    });
    EXPECT_EQ(size("t4-1"), many);
    EXPECT_EQ(size("t4-2"), many);
    EXPECT_FALSE(is_there("t4-1-new"));
    EXPECT_FALSE(is_there("t4-2-new"));
    EXPECT_EQ(find_fate_rule({}).value().state, RuleState::absent) << "there was none";
}

// Somebody reads the first set from when it was exchanged until all is over.
TEST_F(ImportApplyTest, OldEntriesThatCannotBePutBackAreKept) {
    make_old_sets();
    for (unsigned i = 0; i < many / 2; i++)
        plan_.sets[0].entries.push_back(
            {.source = Block::of(*Prefix::parse(fmt::format("198.19.{}.{}", i >> 8, i & 255))),
             .drop = true});
    const unsigned fresh = many / 2 + 1;
    std::atomic<bool> over = false;
    while_read("t4-2", [&] {
        std::thread reader([&] {
            while (!over && size("t4-1") != fresh) std::this_thread::sleep_for(1ms);
            while_read("t4-1", [&] {
                while (!over) std::this_thread::sleep_for(1ms);
            });
        });
        const auto applied = apply_plan(plan_, "t", {}, 1s);
        over = true;
        reader.join();
        ASSERT_FALSE(applied);
        EXPECT_THAT(applied.error().message,
                    AllOf(HasSubstr("could not be put back"), HasSubstr("ipset swap t4-1-new t4-1")));
    });
    EXPECT_EQ(size("t4-1"), fresh);
    EXPECT_EQ(size("t4-1-new"), many) << "the old entries";
    EXPECT_EQ(size("t4-2"), many);
    EXPECT_FALSE(is_there("t4-2-new"));
    run("ipset swap t4-1-new t4-1");
    EXPECT_EQ(size("t4-1"), many) << "as the error says";
}

TEST_F(ImportApplyTest, ARuleThatCannotBeMadeMovesNoSet) {
    make_old_sets();
    run("nft 'table inet synward { map fate { type ipv4_addr : verdict; }; chain theirs { ip saddr vmap "
        "@fate; }; }'");
    // Were a set moved, this would be busy.
    while_read("t4-1", [&] {
        const auto applied = apply_plan(plan_, "t", {}, 0ms);
        ASSERT_FALSE(applied);
        EXPECT_THAT(applied.error().message, HasSubstr("a rule of somebody else uses"));
    });
    EXPECT_EQ(size("t4-1"), many);
    EXPECT_FALSE(is_there("t4-1-new"));
}

}  // namespace
}  // namespace synward
