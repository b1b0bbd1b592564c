// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's ip_set in a namespace of the test's own, by libipset and checked by
// the ipset command.
#include "lib/sets/ipset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <thread>

#include "namespace.h"

namespace synward {
namespace {

using testing::HasSubstr;
using testing::Not;

class IpsetTest : public testing::Test {
  protected:
    void SetUp() override {
        auto session = Ipset::create();
        ASSERT_TRUE(session) << session.error().message;
        ipset_.emplace(std::move(*session));
    }
    void works(const std::string& command) {
        const auto done = ipset_->run(command);
        EXPECT_TRUE(done) << done.error().message;
    }
    Error fails(const std::string& command) {
        const auto done = ipset_->run(command);
        EXPECT_FALSE(done) << command << " worked";
        return done ? Error{} : done.error();
    }
    static std::string saved() { return output("ipset save"); }

    TestNamespace space_;
    std::optional<Ipset> ipset_;
};

TEST_F(IpsetTest, CreatesAndAddsAsTheCommandDoes) {
    works("create deny4 hash:net family inet timeout 0 counters comment skbinfo");
    works("create deny6 hash:net family inet6 timeout 0 counters comment skbinfo");
    works("add deny4 198.18.0.7 timeout 60 -exist");
    works("add deny6 2001:db8:7::/48 timeout 3600 -exist");
    const std::string text = saved();
    EXPECT_THAT(text, HasSubstr("create deny4 hash:net family inet"));
    EXPECT_THAT(text, HasSubstr("add deny4 198.18.0.7 timeout "));
    EXPECT_THAT(text, HasSubstr("add deny6 2001:db8:7::/48 timeout "));
    EXPECT_THAT(output("ipset test deny4 198.18.0.7"), HasSubstr("is in set"));
}

TEST_F(IpsetTest, TheTimeoutCountsDown) {
    works("create s hash:ip timeout 0");
    works("add s 198.18.0.7 timeout 1");
    EXPECT_THAT(saved(), HasSubstr("198.18.0.7"));
    usleep(2'200'000);
    EXPECT_THAT(saved(), Not(HasSubstr("198.18.0.7")));
}

TEST_F(IpsetTest, AddingTwiceNeedsExistAndRenewsTheTimeout) {
    works("create s hash:ip timeout 0");
    works("add s 198.18.0.7 timeout 10");
    const Error error = fails("add s 198.18.0.7 timeout 10");
    EXPECT_THAT(error.message, HasSubstr("already added"));
    works("add s 198.18.0.7 timeout 1000 -exist");
    EXPECT_THAT(saved(), testing::ContainsRegex("198.18.0.7 timeout (99[0-9]|1000)"));
    works("create s hash:ip timeout 0 -exist");
}

TEST_F(IpsetTest, AnUnknownSetIsMissing) {
    for (const char* command :
         {"add nothing 198.18.0.7", "add nothing 198.18.0.7 timeout 5 -exist", "del nothing 198.18.0.7",
          "flush nothing", "destroy nothing", "list nothing"}) {
        const Error error = fails(command);
        EXPECT_EQ(error.code, ErrorCode::missing) << error.message;
        EXPECT_THAT(error.message, HasSubstr(command)) << "the message says what was tried";
    }
    EXPECT_EQ(saved(), "");
}

TEST_F(IpsetTest, GarbageIsAMistakeOfTheCaller) {
    works("create s hash:ip timeout 0");
    for (const char* command :
         {"frobnicate s", "add s", "add s 198.18.0.256", "add s 198.18.0.7 timeout soon",
          "add s 198.18.0.7 timeout -1", "add s 198.18.0.7 timeout 99999999999", "create t hash:nonsense",
          "create t hash:ip family inet7", "add s 2001:db8::1", "add s 198.18.0.7 colour red"}) {
        const Error error = fails(command);
        EXPECT_EQ(error.code, ErrorCode::usage) << command << ": " << error.message;
        EXPECT_FALSE(error.message.empty());
    }
    // A session that was told nonsense still works.
    works("add s 198.18.0.7 timeout 5");
    EXPECT_THAT(saved(), HasSubstr("add s 198.18.0.7 timeout"));
}

TEST_F(IpsetTest, AnErrorIsNotRememberedForTheNextCommand) {
    works("create s hash:ip timeout 0");
    for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(fails("add nothing 198.18.0.7").code, ErrorCode::missing);
        works("add s 198.18.0." + std::to_string(i) + " timeout 100");
    }
    EXPECT_THAT(output("ipset list -t s"), HasSubstr("Number of entries: 200"));
}

TEST_F(IpsetTest, ReturnsWhatTheCommandPrints) {
    works("create s hash:ip timeout 0");
    works("add s 198.18.0.7 timeout 100");
    const auto listed = ipset_->run("list s");
    ASSERT_TRUE(listed) << listed.error().message;
    EXPECT_THAT(*listed, HasSubstr("Name: s"));
    EXPECT_THAT(*listed, HasSubstr("198.18.0.7 timeout"));
    const auto next = ipset_->run("add s 198.18.0.8");
    ASSERT_TRUE(next);
    EXPECT_EQ(*next, "") << "nothing of the command before";
}

// A session keeps options of the command before; each of ours stands for itself.
TEST_F(IpsetTest, ExistIsForOneCommand) {
    works("create s hash:ip timeout 0 -exist");
    works("add s 198.18.0.7 timeout 10 -exist");
    EXPECT_THAT(fails("create s hash:ip timeout 0").message, HasSubstr("exists"));
    fails("add s 198.18.0.7 timeout 10");
    works("del s 198.18.0.8 -exist");
    fails("del s 198.18.0.8");
    EXPECT_EQ(fails("destroy nothing").code, ErrorCode::missing);
}

// The administrator may have made the set otherwise: entries that do not fit are errors, not crashes.
TEST_F(IpsetTest, ASetOfAnotherMakeIsAnError) {
    works("create flat hash:ip");  // no timeout
    EXPECT_THAT(fails("add flat 198.18.0.7 timeout 60 -exist").message, HasSubstr("imeout"));
    works("create four hash:ip family inet timeout 0");
    fails("add four 2001:db8:7::/48 timeout 60 -exist");
    works("create full hash:ip maxelem 1 timeout 0");
    works("add full 198.18.0.1 timeout 60 -exist");
    EXPECT_THAT(fails("add full 198.18.0.2 timeout 60 -exist").message, HasSubstr("full"));
}

TEST_F(IpsetTest, WithoutThePrivilegeItSaysSo) {
    std::optional<ErrorCode> code;
    std::string message;
    std::thread([&] {
        __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
        std::array<__user_cap_data_struct, 2> none{};
        if (syscall(SYS_capset, &header, none.data())) return;
        auto session = Ipset::create();
        const auto done = session ? session->run("create s hash:ip") : tl::unexpected(session.error());
        if (!done) {
            code = done.error().code;
            message = done.error().message;
        }
    }).join();
    EXPECT_EQ(code, ErrorCode::privilege) << message;
    EXPECT_EQ(saved(), "");
}

TEST(SetWord, OnlyWhatIsOneWordToIpset) {
    for (const char* good :
         {"a", "synward-deny4", "198.18.0.0/15", "2001:db8::/32", "198.18.0.7,tcp:80", "x_y.z"})
        EXPECT_TRUE(is_set_word(good)) << good;
    for (const char* bad : {"", "a b", "a\tb", "a\nb", " a", "a ", "-exist", "-", "a\"b", "a'b", "a\\b",
                            "\x7f", "\xc3\xa9", "a\x01"})
        EXPECT_FALSE(is_set_word(bad)) << bad;
    EXPECT_FALSE(is_set_word(std::string_view("a\0b", 3)));
    EXPECT_TRUE(is_set_word(std::string(255, 'x')));
    EXPECT_FALSE(is_set_word(std::string(256, 'x')));
}

}  // namespace
}  // namespace synward
