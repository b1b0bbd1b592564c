// SPDX-License-Identifier: GPL-2.0-or-later
// Sets that change under the mirror's eyes; what it writes is collected here, the maps
// themselves are the business of source_maps_test.cpp and tests/net/mirror.test.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "lib/sets/mirror.h"
#include "namespace.h"
#include "set_random.h"

namespace synward {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SetMirrorTest : public testing::Test {
  protected:
    void SetUp() override {
        auto reader = SetReader::open();
        ASSERT_TRUE(reader) << reader.error().message;
        mirror_.emplace(std::move(*reader), [this](bool problem, const std::string& text) {
            (problem ? problems_ : notes_).push_back(text);
        });
        classify_.sets = {"first", "second"};
        classify_.poll = 5ms;
        classify_.reconcile = 1h;
        mirror_->configure(classify_, sources_);
        mirror_->add_interface("here", {"here"}, writer(entries_));
    }
    SetMirror::Write writer(std::vector<SourceEntry>& to) {
        return [this, &to](std::vector<SourceEntry> wanted, bool whole) -> Result<void> {
            if (!refuse_.empty()) return fail(ErrorCode::config, refuse_);
            if (refuse_ports_ && !wanted.empty() && wanted.back().port)
                return fail(ErrorCode::config, "2 entries, 1 fits");
            to = std::move(wanted);
            whole_ = whole;
            return {};
        };
    }
    static std::vector<std::string> text(const std::vector<SourceEntry>& entries) {
        std::vector<std::string> lines;
        for (const SourceEntry& e : entries)
            lines.push_back((e.fate == SW_FATE_DENY    ? "-"
                             : e.fate == SW_FATE_ALLOW ? "+"
                                                       : "0") +
                            e.prefix.to_string() + (e.port ? " at " + std::to_string(e.port) : ""));
        return lines;
    }
    // Rounds as they become due, until that is so; false after ten seconds.
    template <typename Condition>
    bool rounds_until(const Condition& condition) {
        const auto deadline = SetMirror::Clock::now() + 10s;
        while (true) {
            if (auto change = mirror_->round()) {
                changed_.insert(changed_.end(), change->prefixes.begin(), change->prefixes.end());
                index_ = change->index;
            }
            if (condition()) return true;
            if (SetMirror::Clock::now() > deadline) return false;
            std::this_thread::sleep_until(std::min(mirror_->next(), deadline));
        }
    }
    void expect(const std::vector<std::string>& lines) {
        EXPECT_TRUE(rounds_until([&] { return text(entries_) == lines; }))
            << testing::PrintToString(text(entries_));
    }
    void settle() {
        for (int i = 0; i < 3; i++) {
            std::this_thread::sleep_until(mirror_->next());
            mirror_->round();
        }
        changed_.clear();
    }

    TestNamespace space_;
    ClassifyConfig classify_;
    SourcesConfig sources_;
    std::optional<SetMirror> mirror_;
    std::vector<SourceEntry> entries_;
    std::vector<Prefix> changed_;
    std::shared_ptr<const SetIndex> index_;
    std::vector<std::string> problems_, notes_;
    std::string refuse_;
    bool refuse_ports_ = false;
    bool whole_ = false;
};

TEST_F(SetMirrorTest, FollowsWhatTheCommandDoes) {
    expect({});
    run("ipset create second hash:net skbinfo timeout 0");
    run("ipset add second 198.18.0.0/24 skbmark 0xd/0xff");
    expect({"-198.18.0.0/24"});
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xa/0xff");
    expect({"-198.18.0.0/24", "+198.18.0.7"});
    settle();
    run("ipset del second 198.18.0.0/24");
    expect({"+198.18.0.7"});
    EXPECT_THAT(changed_, ElementsAre(*Prefix::parse("198.18.0.0/24")));
    run("ipset flush first");
    expect({});
    EXPECT_THAT(problems_, IsEmpty());
    ASSERT_TRUE(index_);
    EXPECT_FALSE(index_->find({.source = *Address::parse("198.18.0.7")}));
}

TEST_F(SetMirrorTest, EntriesThatTimeOutGo) {
    run("ipset create first hash:ip skbinfo timeout 0");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff timeout 1");
    expect({"-198.18.0.7"});
    expect({});
}

TEST_F(SetMirrorTest, FewChangesAreUpdatesAndASwapIsNot) {
    for (const char* name : {"first", "other"}) {
        std::string lines = fmt::format("create {} hash:ip skbinfo\n", name);
        for (unsigned i = 0; i < 2000; i++)
            lines += fmt::format("add {} 198.{}.{}.{} skbmark 0xd/0xff\n", name, *name == 'f' ? 18 : 19,
                                 i >> 8, i & 255);
        restore(lines);
    }
    ASSERT_TRUE(rounds_until([&] { return entries_.size() == 2000; }));
    EXPECT_TRUE(whole_);
    run("ipset del first 198.18.0.77");
    ASSERT_TRUE(rounds_until([&] { return entries_.size() == 1999; }));
    EXPECT_FALSE(whole_);
    run("ipset add first 198.18.0.77 skbmark 0xd/0xff");
    ASSERT_TRUE(rounds_until([&] { return entries_.size() == 2000; }));
    EXPECT_FALSE(whole_);
    // As many entries, and as much memory.
    run("ipset swap first other");
    ASSERT_TRUE(rounds_until([&] { return entries_[0].prefix.to_string() == "198.19.0.0"; }));
    EXPECT_TRUE(whole_);
    EXPECT_THAT(entries_, SizeIs(2000));
}

TEST_F(SetMirrorTest, ReadsWhatIsReportedAtOnce) {
    classify_.poll = 1h;
    mirror_->configure(classify_, sources_);
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    run("ipset add first 198.18.0.8 skbmark 0xd/0xff");
    mirror_->report("second", SetOperation::add);
    mirror_->round();
    EXPECT_THAT(entries_, SizeIs(1));
    mirror_->report("first", SetOperation::add);
    expect({"-198.18.0.7", "-198.18.0.8"});
    run("ipset del first 198.18.0.8");
    mirror_->report("", SetOperation::flush);
    expect({"-198.18.0.7"});
}

TEST_F(SetMirrorTest, WhatVanishedIsNotForgottenBetweenLooks) {
    classify_.poll = 1h;
    mirror_->configure(classify_, sources_);
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    run("ipset destroy first");
    mirror_->report("first", SetOperation::destroy);
    EXPECT_TRUE(rounds_until([&] { return !problems_.empty(); }));
    EXPECT_LE(mirror_->next(), SetMirror::Clock::now() + 10s);
    EXPECT_THAT(entries_, SizeIs(1));
}

TEST_F(SetMirrorTest, WhatNobodyToldIsDrift) {
    classify_.reconcile = 300ms;
    mirror_->configure(classify_, sources_);
    run("ipset create first hash:ip skbinfo hashsize 64");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    EXPECT_EQ(mirror_->status().drift, 0u);
    // The header is as before.
    restore("add first 198.18.0.7 skbmark 0xa/0xff\n");
    expect({"+198.18.0.7"});
    EXPECT_EQ(mirror_->status().drift, 1u);
    EXPECT_EQ(mirror_->status().changes, 2u);
}

TEST_F(SetMirrorTest, AShorterReconcileActsAtOnce) {
    run("ipset create first hash:ip skbinfo hashsize 64");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    classify_.reconcile = 100ms;
    mirror_->configure(classify_, sources_);
    restore("add first 198.18.0.7 skbmark 0xa/0xff\n");
    expect({"+198.18.0.7"});
}

TEST_F(SetMirrorTest, AListFollowsItsMembers) {
    restore(
        "create a hash:ip skbinfo\ncreate b hash:net family inet6 skbinfo\n"
        "add a 198.18.0.7 skbmark 0xd/0xff\nadd b 2001:db8::/64 skbmark 0xd/0xff\n"
        "create first list:set\nadd first a\n");
    expect({"-198.18.0.7"});
    run("ipset add first b");
    expect({"-198.18.0.7", "-2001:db8::/64"});
    run("ipset add a 198.18.0.8 skbmark 0xd/0xff");
    expect({"-198.18.0.7", "-198.18.0.8", "-2001:db8::/64"});
    run("ipset del first a");
    expect({"-2001:db8::/64"});
    EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(SetMirrorTest, ASetThatVanishesActsForAMoment) {
    classify_.reconcile = 1500ms;  // and so long it acts
    mirror_->configure(classify_, sources_);
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    run("ipset destroy first");
    ASSERT_TRUE(rounds_until([&] { return !problems_.empty(); }));
    EXPECT_THAT(entries_, SizeIs(1));
    EXPECT_THAT(problems_, ElementsAre(HasSubstr("'first' is gone")));
    EXPECT_THAT(mirror_->status().sets[0].problem, HasSubstr("'first' is gone"));
    // Made anew in time, it is as if nothing had been.
    restore("create first hash:ip skbinfo\nadd first 198.18.0.7 skbmark 0xd/0xff\n");
    ASSERT_TRUE(rounds_until([&] { return mirror_->status().sets[0].problem.empty(); }));
    EXPECT_THAT(entries_, SizeIs(1));
    run("ipset rename first gone");
    expect({});
    EXPECT_THAT(problems_, SizeIs(2));
    EXPECT_THAT(mirror_->status().sets[0].type, "");
}

TEST_F(SetMirrorTest, ASetThatDoesNotFitLeavesTheOldEntries) {
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    run("ipset create bare hash:ip");
    run("ipset swap first bare");
    ASSERT_TRUE(rounds_until([&] { return !problems_.empty(); }));
    settle();
    EXPECT_THAT(problems_,
                ElementsAre(HasSubstr("create it with skbinfo: ipset create first hash:ip skbinfo")));
    EXPECT_THAT(text(entries_), ElementsAre("-198.18.0.7"));
    // The other sets go on.
    restore("create second hash:ip skbinfo\nadd second 198.18.0.9 skbmark 0xd/0xff\n");
    expect({"-198.18.0.7", "-198.18.0.9"});
    run("ipset swap first bare");
    ASSERT_TRUE(rounds_until([&] { return mirror_->status().sets[0].problem.empty(); }));
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("acts at the driver hook again")));
    EXPECT_THAT(problems_, SizeIs(1));
}

// Who starts without memory can ask before writing.
TEST_F(SetMirrorTest, ItIsNotCompleteWhileASetThatIsThereWasNeverRead) {
    mirror_->round();
    EXPECT_TRUE(mirror_->complete()) << "sets that do not exist have no entries";
    run("ipset create first hash:ip");
    ASSERT_TRUE(rounds_until([&] { return !problems_.empty(); }));
    auto complete = mirror_->complete();
    ASSERT_FALSE(complete);
    EXPECT_EQ(complete.error().code, ErrorCode::unsupported);
    EXPECT_THAT(complete.error().message, HasSubstr("ipset create first hash:ip skbinfo"));
    bool asked = false;
    mirror_->add_interface("careful", {"careful"}, [&](std::vector<SourceEntry>, bool) {
        asked = true;
        return mirror_->complete();
    });
    mirror_->round();
    EXPECT_TRUE(asked);
    EXPECT_THAT(mirror_->status().interfaces[1].problem, HasSubstr("what is in force stays"));
    run("ipset destroy first");
    restore("create first hash:ip skbinfo\nadd first 198.18.0.7 skbmark 0xd/0xff\n");
    expect({"-198.18.0.7"});
    EXPECT_TRUE(mirror_->complete());
    // What was read once is remembered.
    run("ipset create bare hash:ip");
    run("ipset swap first bare");
    ASSERT_TRUE(rounds_until([&] { return !mirror_->status().sets[0].problem.empty(); }));
    EXPECT_TRUE(mirror_->complete());
}

TEST_F(SetMirrorTest, WhatDoesNotFitIsSaidOnceAndTriedWhenItChanges) {
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0xd/0xff");
    expect({"-198.18.0.7"});
    refuse_ = "2 entries, 1 fits";
    run("ipset add first 198.18.0.8 skbmark 0xd/0xff");
    ASSERT_TRUE(rounds_until([&] { return !problems_.empty(); }));
    run("ipset add first 198.18.0.9 skbmark 0xd/0xff");
    ASSERT_TRUE(rounds_until([&] { return mirror_->status().changes == 3; }));
    EXPECT_THAT(problems_,
                ElementsAre(HasSubstr("here: the sets do not act as they are: 2 entries, 1 fits")));
    EXPECT_THAT(entries_, SizeIs(1));
    EXPECT_THAT(mirror_->status().interfaces[0].problem, HasSubstr("1 fits"));
    refuse_.clear();
    run("ipset del first 198.18.0.9");
    expect({"-198.18.0.7", "-198.18.0.8"});
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("again")));
}

// Entries by port come with the others or not at all; what an exception needs stays right.
TEST_F(SetMirrorTest, EntriesByPortThatDoNotFitAreLeftToTheKernel) {
    run("ipset create first hash:ip,port skbinfo");
    run("ipset add first 198.18.0.7,tcp:80 skbmark 0xa/0xff");
    run("ipset create second hash:net skbinfo");
    run("ipset add second 198.18.0.0/24 skbmark 0xd/0xff");
    expect({"-198.18.0.0/24", "+198.18.0.7 at 80"});
    refuse_ports_ = true;
    run("ipset add first 198.18.0.8,tcp:80 skbmark 0xa/0xff");
    expect({"-198.18.0.0/24", "0198.18.0.7", "0198.18.0.8"});
    EXPECT_THAT(problems_,
                ElementsAre(AllOf(HasSubstr("here: entries by port do not act"), HasSubstr("1 fits"))));
    EXPECT_THAT(mirror_->status().interfaces[0].ports_problem, HasSubstr("1 fits"));
    EXPECT_EQ(mirror_->status().interfaces[0].problem, "");
    run("ipset add first 198.18.0.9,tcp:80 skbmark 0xa/0xff");
    expect({"-198.18.0.0/24", "0198.18.0.7", "0198.18.0.8", "0198.18.0.9"});
    EXPECT_THAT(problems_, SizeIs(1)) << "it is said once";
    refuse_ports_ = false;
    run("ipset del first 198.18.0.9,tcp:80");
    expect({"-198.18.0.0/24", "+198.18.0.7 at 80", "+198.18.0.8 at 80"});
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("again")));
    EXPECT_EQ(mirror_->status().interfaces[0].ports_problem, "");
}

TEST_F(SetMirrorTest, UndefinedFatesAreSaidAndDefinedLater) {
    run("ipset create first hash:ip skbinfo");
    run("ipset add first 198.18.0.7 skbmark 0x33/0xff");
    ASSERT_TRUE(rounds_until([&] { return mirror_->status().undefined.size() == 1; }));
    EXPECT_THAT(problems_, ElementsAre(HasSubstr("0x33 of 1 entry in the ipset 'first'")));
    EXPECT_THAT(problems_, ElementsAre(HasSubstr("[[fate]]")));
    // What is told is not told again, and what is new is.
    run("ipset add first 198.18.0.8 skbmark 0x33/0xff");
    run("ipset add first 198.18.0.9 skbmark 0x34/0xff");
    run("ipset add first 198.18.0.10 skbmark 0x34/0xff");
    ASSERT_TRUE(rounds_until([&] { return index_->size() == 4; }));
    EXPECT_THAT(problems_, Contains(HasSubstr("0x34 of ")));
    EXPECT_THAT(problems_, testing::Each(testing::Not(AllOf(HasSubstr("0x33"), HasSubstr("0x34")))));
    run("ipset del first 198.18.0.9");
    run("ipset del first 198.18.0.10");
    ASSERT_TRUE(rounds_until([&] { return mirror_->status().undefined.size() == 1; }));
    EXPECT_THAT(entries_, IsEmpty());
    ASSERT_TRUE(classify_.fates.add({"trap", 0x33, FateVerdict::drop}));
    mirror_->configure(classify_, sources_);
    changed_.clear();
    expect({"-198.18.0.7", "-198.18.0.8"});
    EXPECT_THAT(mirror_->status().undefined, IsEmpty());
    EXPECT_THAT(changed_, SizeIs(2)) << "everything";
}

// The attributes of an address, as the ipset command sends them.
std::vector<std::uint8_t> told(const char* address, unsigned mark) {
    const Address a = *Address::parse(address);
    std::vector<std::uint8_t> bytes{12, 0, 1, 0x80, 8, 0, 1, 0x40};  // IPSET_ATTR_IP, _IPADDR_IPV4
    bytes.insert(bytes.end(), a.bytes.begin(), a.bytes.begin() + 4);
    if (mark) {
        const std::uint8_t skbmark[]{12, 0, 27, 0x40, 0, 0, 0, static_cast<std::uint8_t>(mark),
                                     0,  0, 0,  0xff};
        bytes.insert(bytes.end(), std::begin(skbmark), std::end(skbmark));
    }
    return bytes;
}

// Where an event tells of the entry, it acts at once and no set is read.
TEST_F(SetMirrorTest, WhatIsToldActsWithoutReading) {
    restore(
        "create first hash:ip skbinfo\nadd first 198.18.0.1 skbmark 0xd/0xff\n"
        "create inner hash:net skbinfo\ncreate second list:set\nadd second inner\n"
        "add inner 198.18.4.0/24 skbmark 0xd/0xff\n");
    std::vector<Prefix> patched;
    mirror_->add_interface(
        "here", {"here"}, writer(entries_), [] { return true; },
        [&](const Prefix& within, std::vector<SourceEntry> wanted) -> Result<std::size_t> {
            patched.push_back(within);
            std::erase_if(entries_, [&](const SourceEntry& e) {
                return e.prefix.length >= within.length && within.contains(e.prefix.address);
            });
            entries_.insert(entries_.end(), wanted.begin(), wanted.end());
            std::ranges::sort(entries_, [](const auto& a, const auto& b) { return a.place() < b.place(); });
            return entries_.size();
        });
    expect({"-198.18.0.1", "-198.18.4.0/24"});
    classify_.poll = 1h;  // nothing else shall find it
    mirror_->configure(classify_, sources_);
    settle();
    const auto reads = mirror_->status().reads;

    run("ipset add first 198.18.0.9 skbmark 0xd/0xff");
    mirror_->report("first", SetOperation::add, told("198.18.0.9", 0xd));
    run("ipset add inner 198.18.4.7 skbmark 0xa/0xff");
    mirror_->report("inner", SetOperation::add, told("198.18.4.7", 0xa));
    expect({"-198.18.0.1", "-198.18.0.9", "-198.18.4.0/24", "+198.18.4.7"});
    EXPECT_THAT(patched, ElementsAre(*Prefix::parse("198.18.0.9"), *Prefix::parse("198.18.4.7")));
    EXPECT_THAT(changed_, SizeIs(2));
    run("ipset del first 198.18.0.9");
    mirror_->report("first", SetOperation::remove, told("198.18.0.9", 0));
    expect({"-198.18.0.1", "-198.18.4.0/24", "+198.18.4.7"});
    const MirrorStatus status = mirror_->status();
    EXPECT_EQ(status.reads, reads);
    EXPECT_EQ(status.told, 3u);
    EXPECT_EQ(status.interfaces[0].entries, 3u);
    EXPECT_EQ(status.interfaces[0].updated, 2u);
    ASSERT_THAT(index_->sets(), SizeIs(2));
    EXPECT_EQ(index_->find({*Address::parse("198.18.4.7"), 6, 80, "here", 0}), 0xa);

    // The headers agree with what was told: they give no reason to read.
    classify_.poll = 5ms;
    mirror_->configure(classify_, sources_);
    settle();
    EXPECT_EQ(mirror_->status().reads, reads);
    // What nothing told of is found behind it.
    mirror_->report("first", SetOperation::add, told("198.18.0.11", 0xd));
    run("ipset add first 198.18.0.11 skbmark 0xd/0xff");
    run("ipset add first 198.18.0.12 skbmark 0xd/0xff");
    expect({"-198.18.0.1", "-198.18.0.11", "-198.18.0.12", "-198.18.4.0/24", "+198.18.4.7"});
    // What was told is wrong: the set has the last word.
    mirror_->report("first", SetOperation::add, told("198.18.0.13", 0xd));
    expect({"-198.18.0.1", "-198.18.0.11", "-198.18.0.12", "-198.18.4.0/24", "+198.18.4.7"});
    EXPECT_EQ(mirror_->status().drift, 0u);
}

// What is told of one member of a list, while another one has to be read.
TEST_F(SetMirrorTest, WhatIsToldIsNotLostWithAnotherMember) {
    restore(
        "create a hash:ip skbinfo\nadd a 198.18.0.1 skbmark 0xa/0xff\ncreate b hash:ip skbinfo\n"
        "create first list:set\nadd first a\nadd first b\n");
    classify_.poll = 1h;
    mirror_->configure(classify_, sources_);
    expect({"+198.18.0.1"});
    settle();
    run("ipset -exist add a 198.18.0.1 skbmark 0xd/0xff");  // its header stays the same
    mirror_->report("a", SetOperation::add, told("198.18.0.1", 0xd));
    run("ipset add b 198.18.0.2 skbmark 0xd/0xff");
    mirror_->report("b", SetOperation::add);
    expect({"-198.18.0.1", "-198.18.0.2"});
}

TEST_F(SetMirrorTest, WhatIsToldOfASetThatIsReadAnywayIsNotNeeded) {
    restore("create first hash:ip skbinfo\nadd first 198.18.0.1 skbmark 0xd/0xff\n");
    expect({"-198.18.0.1"});
    settle();
    run("ipset flush first");
    run("ipset add first 198.18.0.2 skbmark 0xd/0xff");
    mirror_->report("first", SetOperation::flush);
    mirror_->report("first", SetOperation::add, told("198.18.0.2", 0xd));
    expect({"-198.18.0.2"});
    EXPECT_EQ(mirror_->status().told, 0u);
    // Nor of what cannot be understood, or is no set of ours.
    run("ipset add first 198.18.0.3 skbmark 0xd/0xff");
    mirror_->report("first", SetOperation::add, std::vector<std::uint8_t>{1, 2, 3});
    mirror_->report("other", SetOperation::add, told("198.18.0.4", 0xd));
    expect({"-198.18.0.2", "-198.18.0.3"});
}

TEST_F(SetMirrorTest, InterfacesAndConfigMayChange) {
    restore(
        "create first hash:net,iface skbinfo\nadd first 198.18.0.0/24,here skbmark 0xd/0xff\n"
        "add first 198.18.1.0/24,there skbmark 0xd/0xff\n");
    std::vector<SourceEntry> there;
    mirror_->add_interface("there", {"there"}, writer(there));
    expect({"-198.18.0.0/24"});
    EXPECT_THAT(text(there), ElementsAre("-198.18.1.0/24"));
    sources_.deny = {*Prefix::parse("203.0.113.7")};
    mirror_->configure(classify_, sources_);
    expect({"-198.18.0.0/24", "-203.0.113.7"});
    EXPECT_THAT(there, SizeIs(2));
    mirror_->remove_interface("there");
    classify_.sets = {"second"};
    mirror_->configure(classify_, sources_);
    expect({"-203.0.113.7"});
    EXPECT_THAT(there, SizeIs(2));
    EXPECT_THAT(mirror_->status().interfaces, SizeIs(1));
}

TEST_F(SetMirrorTest, WhatAnotherProcessWroteIsPutBack) {
    restore("create first hash:ip skbinfo\nadd first 192.0.2.1 skbmark 0xd/0xff\n");
    bool in_force = false;
    const SetMirror::Write plain = writer(entries_);
    mirror_->add_interface(
        "here", {"here"},
        [&](std::vector<SourceEntry> wanted, bool whole) {
            auto done = plain(std::move(wanted), whole);
            in_force = done.has_value();
            return done;
        },
        [&] { return in_force; });
    expect({"-192.0.2.1"});
    settle();
    EXPECT_EQ(mirror_->status().interfaces[0].overwritten, 0u);

    for (unsigned time = 1; time <= 2; time++) {
        in_force = false;
        entries_.clear();
        whole_ = false;
        expect({"-192.0.2.1"});
        EXPECT_TRUE(whole_) << "what the other left must go";
        EXPECT_EQ(mirror_->status().interfaces[0].overwritten, time);
    }
    EXPECT_THAT(problems_,
                ElementsAre(HasSubstr("here: another process replaced the denied and allowed sources")));
    EXPECT_THAT(changed_, SizeIs(0)) << "the sets did not change";

    // What does not fit is not tried again in each round.
    refuse_ = "does not fit";
    in_force = false;
    settle();
    settle();
    EXPECT_EQ(mirror_->status().interfaces[0].overwritten, 3u);
    EXPECT_THAT(problems_, SizeIs(2));
}

TEST_F(SetMirrorTest, CountsWhatItCosts) {
    classify_.poll = 1ms;
    mirror_->configure(classify_, sources_);
    std::string lines = "create first hash:ip maxelem 300000 skbinfo\n";
    for (unsigned i = 0; i < 200'000; i++)
        lines +=
            fmt::format("add first 198.{}.{}.{} skbmark 0xd/0xff\n", 16 + (i >> 16), i >> 8 & 255, i & 255);
    restore(lines);
    ASSERT_TRUE(rounds_until([&] { return entries_.size() == 200'000; }));
    settle();
    const MirrorStatus status = mirror_->status();
    // Looking at a large header costs more than a thousandth of a second's share.
    EXPECT_GT(status.sets[0].poll, 1ms);
    EXPECT_EQ(status.sets[0].entries, 200'000u);
    EXPECT_GT(status.sets[0].read.count(), 0);
}

}  // namespace
}  // namespace synward
