// SPDX-License-Identifier: GPL-2.0-or-later
// The marker by iptables: which sets fit, and the rules in a namespace of the test's own,
// with each backend of iptables that the host has.
#include "lib/classify/mangle_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "lib/classify/binding.h"
#include "lib/classify/command.h"
#include "namespace.h"

namespace synward {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

SetHeader header(const char* name, const char* type, SetKind kind, std::optional<sw_family> family,
                 bool skbinfo = true) {
    SetHeader made;
    made.name = name;
    made.type = type;
    made.kind = kind;
    made.family = family;
    made.skbinfo = skbinfo;
    return made;
}

const std::vector<SetHeader> some_sets{
    header("ip4", "hash:ip", SetKind::ip, SW_IPV4),
    header("net6", "hash:net", SetKind::net, SW_IPV6),
    header("port4", "hash:net,port", SetKind::net_port, SW_IPV4),
    header("iface4", "hash:net,iface", SetKind::net_iface, SW_IPV4),
    header("mark4", "hash:ip,mark", SetKind::ip_mark, SW_IPV4),
    header("plain", "hash:ip", SetKind::ip, SW_IPV4, false),
    header("bits", "bitmap:port", SetKind::other, std::nullopt),
    header("all", "list:set", SetKind::list, std::nullopt, false),
    header("mixed", "list:set", SetKind::list, std::nullopt, false),
    header("own", "list:set", SetKind::list, std::nullopt),
};
std::vector<std::string> members(const std::string& name) {
    if (name == "all") return {"ip4", "net6", "port4"};
    return {"port4", "iface4"};
}

TEST(BindingTest, EachTypeIsAskedByItsDimensions) {
    const BindingPlan plan =
        plan_binding({"port4", "ip4", "net6", "iface4", "mark4", "all"}, some_sets, members);
    EXPECT_THAT(plan.problems, IsEmpty());
    EXPECT_THAT(plan.waited, IsEmpty());
    std::vector<std::string> words;
    for (const BoundSet& set : plan.sets) words.push_back(set.name + " " + direction_words(set));
    EXPECT_THAT(words, ElementsAre("port4 src,dst", "ip4 src", "net6 src", "iface4 src,src", "mark4 src,dst",
                                   "all src,dst"));
    EXPECT_EQ(plan.sets[0].flags, 1);
    EXPECT_EQ(plan.sets[3].flags, 3);
    EXPECT_EQ(plan.sets[5].family, std::nullopt);
}

TEST(BindingTest, WhatDoesNotFitIsNamed) {
    const BindingPlan plan =
        plan_binding({"plain", "ip4", "bits", "nowhere", "mixed", "a b"}, some_sets, members);
    ASSERT_EQ(plan.sets.size(), 1u);
    EXPECT_EQ(plan.sets[0].name, "ip4");
    EXPECT_THAT(plan.waited, ElementsAre("nowhere"));
    EXPECT_THAT(plan.problems,
                ElementsAre(HasSubstr("set 'plain' is left out: its entries cannot carry marks"),
                            HasSubstr("set 'bits' is left out: type bitmap:port is not supported"),
                            HasSubstr("set 'mixed' is left out: it holds sets by port and sets by"),
                            HasSubstr("set 'a b'")));
}

TEST(MangleTextTest, SetsOfTheOtherFamilyAreLeftOut) {
    const BindingPlan plan = plan_binding({"ip4", "net6", "all"}, some_sets, members);
    const std::string text = mangle_text(plan.sets, SW_IPV6, {});
    EXPECT_THAT(text, Not(HasSubstr(" ip4 ")));
    EXPECT_THAT(text, HasSubstr("-j SET --map-set net6 src --map-mark\n"));
    EXPECT_THAT(text, HasSubstr("-j SET --map-set all src,dst --map-mark\n"));
    EXPECT_LT(text.find("net6"), text.find("all"));
}

TEST(MangleTextTest, OneJumpAndNotMore) {
    const std::string ours =
        "PREROUTING -m conntrack --ctstate NEW,RELATED ! --ctstatus CONFIRMED -j SYNWARD";
    EXPECT_THAT(mangle_text({}, SW_IPV4, {}), HasSubstr("-I PREROUTING 1 -m conntrack"));
    EXPECT_THAT(mangle_text({}, SW_IPV4, {"-A " + ours, ":SYNWARD"}), Not(HasSubstr("PREROUTING")));
    const std::string twice = mangle_text({}, SW_IPV4, {"-A " + ours, "-A FORWARD -j SYNWARD"});
    EXPECT_THAT(twice, HasSubstr("-D " + ours + "\n-D FORWARD -j SYNWARD\n-I PREROUTING 1 "));
}

TEST(MangleTextTest, ExpectedConnectionsAreNotLookedUp) {
    const std::string text = mangle_text(plan_binding({"ip4"}, some_sets, members).sets, SW_IPV4, {});
    const std::string related = "-A SYNWARD -m conntrack --ctstate RELATED -";
    EXPECT_THAT(text, HasSubstr(related + "j CONNMARK --restore-mark"));
    EXPECT_LT(text.find(related + "j RETURN"), text.find("--map-set"));
    EXPECT_LT(text.find(related + "m connmark --mark 0/0xff -j CONNMARK --save-mark"),
              text.find(related + "j CONNMARK --restore-mark"))
        << "the class that the packet brings";
    EXPECT_LT(text.find(related + "j CONNMARK --restore-mark"), text.find(related + "j RETURN"));
}

TEST(MangleTextTest, ByPacketMarkAClassOfZeroEndsTheSearch) {
    const std::string text =
        mangle_text(plan_binding({"ip4", "mark4"}, some_sets, members).sets, SW_IPV4, {});
    const std::string look_up = "-j SET --map-set mark4 src,dst --map-mark\n";
    const std::string guarded = "-A SYNWARD -m mark --mark 0x2/0xff " + look_up;
    const std::string bare = "-A SYNWARD " + look_up;
    ASSERT_THAT(text, HasSubstr(guarded));
    ASSERT_THAT(text, HasSubstr(bare));
    // Whoever has a class, of this set or one before it, 0 included, is gone by the time
    // that 0 stands for "not found".
    const std::size_t leaves = text.find("-A SYNWARD -m mark ! --mark 0x2/0xff -j RETURN\n");
    EXPECT_LT(text.find(guarded), leaves);
    EXPECT_LT(leaves, text.find("-A SYNWARD -j MARK --set-xmark 0/0xff\n"));
    EXPECT_LT(text.find("-A SYNWARD -j MARK --set-xmark 0/0xff\n"), text.find(bare));
    EXPECT_THAT(text.substr(0, leaves), testing::EndsWith("-A SYNWARD -m mark ! --mark 0x2/0xff -j CONNMARK "
                                                          "--save-mark --nfmask 0xff --ctmask 0xff\n"));
}

TEST(CommandTest, WhatItSaysAndHowItFails) {
    EXPECT_EQ(run_command({"cat"}, "a\nb").value(), "a\nb");
    EXPECT_EQ(run_command({"printf", "%s", "$HOME; `id`"}).value(), "$HOME; `id`") << "no shell";
    const std::string much(300'000, 'x');
    EXPECT_EQ(run_command({"cat"}, much).value(), much);
    EXPECT_TRUE(run_command({"true"}, much)) << "one who does not read";
    EXPECT_EQ(run_command({"synward-no-such-command"}).error().code, ErrorCode::missing);
    const auto failed = run_command({"ls", "/synward-no-such-file"});
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message, HasSubstr("No such file"));
}

// A folder in front of PATH whose `iptables` is one backend.
class MangleRulesTest : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        const std::string backend = GetParam();
        namespace fs = std::filesystem;
        if (!fs::exists("/usr/sbin/iptables-" + backend + "-restore")) GTEST_SKIP() << "iptables-" << backend;
        old_path_ = getenv("PATH");
        std::string pattern = "/dev/shm/synward-mangle-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        for (const char* family : {"iptables", "ip6tables"})
            for (const char* what : {"", "-save", "-restore"})
                fs::create_symlink("/usr/sbin/xtables-" + backend + "-multi",
                                   fs::path(folder_) / (std::string(family) + what));
        setenv("PATH", (folder_ + ":" + old_path_).c_str(), 1);
        run("ipset create four hash:net skbinfo");
        run("ipset create ports hash:ip,port skbinfo");
        run("ipset create six hash:net family inet6 skbinfo");
    }
    void TearDown() override {
        if (folder_.empty()) return;
        setenv("PATH", old_path_.c_str(), 1);
        std::filesystem::remove_all(folder_);
    }
    static MangleRules install(const std::vector<BoundSet>& sets) {
        const auto rules = install_mangle_rules(sets);
        EXPECT_TRUE(rules) << rules.error().message;
        return rules.value_or(MangleRules{});
    }
    // Without the counters of chains and the comments that tell the time.
    static std::string saved() {
        return output("iptables-save | grep '^-A\\|^:SYN'; ip6tables-save | grep '^-A\\|^:SYN'");
    }
    const std::vector<BoundSet> sets_{{"four", "hash:net", SW_IPV4},
                                      {"ports", "hash:ip,port", SW_IPV4, false, 2, 1},
                                      {"six", "hash:net", SW_IPV6}};
    TestNamespace space_;
    std::string old_path_;
    std::string folder_;
};

TEST_P(MangleRulesTest, MadeFoundReplacedAndRemoved) {
    run("iptables -t mangle -A PREROUTING -s 203.0.113.1 -j ACCEPT");
    run("iptables -t mangle -A FORWARD -j MARK --set-mark 0x100");
    run("iptables -A INPUT -p tcp --dport 22 -j ACCEPT");
    run("ip6tables -t mangle -A PREROUTING -j MARK --set-mark 0x100");
    const std::string before = saved();
    EXPECT_TRUE(find_mangle_rules().value().none());
    const MangleRules first = install(sets_);
    EXPECT_FALSE(first.ipv4.empty());
    EXPECT_FALSE(first.ipv6.empty());
    EXPECT_EQ(find_mangle_rules().value(), first);
    const std::string there = output("iptables -t mangle -S");
    EXPECT_THAT(there, HasSubstr("--map-set four src --map-mark"));
    EXPECT_LT(there.find("-j SYNWARD"), there.find("-j ACCEPT")) << "the first rule";
    EXPECT_NE(output("ipset destroy four"), "") << "in use";
    EXPECT_EQ(install(sets_), first) << "a second time changes nothing";
    // A jump that somebody doubled, a chain that somebody filled.
    run("iptables -t mangle -A PREROUTING -j SYNWARD");
    run("iptables -t mangle -A SYNWARD -j ACCEPT");
    EXPECT_NE(find_mangle_rules().value(), first);
    EXPECT_EQ(install(sets_), first);
    const MangleRules fewer = install({sets_[1]});
    EXPECT_NE(fewer, first);
    run("ipset destroy four");
    run("ipset destroy six");
    ASSERT_TRUE(remove_mangle_rules());
    EXPECT_TRUE(find_mangle_rules().value().none());
    EXPECT_EQ(saved(), before);
    run("ipset destroy ports");
    EXPECT_TRUE(remove_mangle_rules()) << "nothing is there, nothing is wrong";
}

TEST_P(MangleRulesTest, ASetThatIsGoneLeavesTheOldRules) {
    const MangleRules first = install({sets_[0]});
    const auto refused =
        install_mangle_rules(std::vector<BoundSet>{sets_[0], {"nowhere", "hash:ip", SW_IPV4}});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("nowhere"));
    EXPECT_EQ(find_mangle_rules().value(), first);
}

TEST_P(MangleRulesTest, OneFamilyThatFailsLeavesBothAsTheyWere) {
    run("iptables -t mangle -A PREROUTING -s 203.0.113.1 -j ACCEPT");
    const std::string before = saved();
    const std::vector<BoundSet> broken{sets_[1], {"nowhere", "hash:ip", SW_IPV6}};
    const auto refused = install_mangle_rules(broken);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("nowhere"));
    EXPECT_EQ(saved(), before) << "nothing was there";
    const MangleRules first = install({sets_[0], sets_[2]});
    const std::string installed = saved();
    ASSERT_FALSE(install_mangle_rules(broken));
    EXPECT_EQ(find_mangle_rules().value(), first);
    EXPECT_EQ(saved(), installed) << "in the same order";
}

TEST_P(MangleRulesTest, WithoutIptables) {
    std::filesystem::remove_all(folder_);
    setenv("PATH", folder_.c_str(), 1);
    const auto refused = install_mangle_rules(sets_);
    setenv("PATH", old_path_.c_str(), 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
    EXPECT_THAT(refused.error().message, HasSubstr("install the package iptables"));
}

INSTANTIATE_TEST_SUITE_P(Backends, MangleRulesTest, testing::Values("nft", "legacy"),
                         [](const auto& backend) { return std::string(backend.param); });

}  // namespace
}  // namespace synward
