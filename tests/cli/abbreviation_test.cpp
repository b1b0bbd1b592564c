// SPDX-License-Identifier: GPL-2.0-or-later
// Which subcommand a beginning of its name means.
#include "tools/cli/abbreviation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace synward::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

class Abbreviation : public testing::Test {
  protected:
    Abbreviation() {
        app_.fallthrough();
        app_.add_flag("-j,--json", json_);
        app_.add_option("-s,--socket", text_);
        for (const char* name : {"status", "stats", "monitor", "mode", "help"}) app_.add_subcommand(name);
        app_.add_subcommand("words")->group("");
        CLI::App* set = app_.add_subcommand("set");
        set->add_option("-c,--config", text_);
        for (const char* name : {"list", "show"}) set->add_subcommand(name);
    }
    Words spelled(Words words) {
        auto result = spell_out(app_, std::move(words));
        return result ? *result : Words{result.error().message};
    }

    CLI::App app_;
    bool json_ = false;
    std::string text_;
};

TEST_F(Abbreviation, MeansTheOnlyOneThatBeginsSo) {
    EXPECT_THAT(spelled({"mon"}), ElementsAre("monitor"));
    EXPECT_THAT(spelled({"statu", "eth0"}), ElementsAre("status", "eth0"));
    EXPECT_THAT(spelled({"set", "l"}), ElementsAre("set", "list"));
    EXPECT_THAT(spelled({"se", "sh", "mon"}), ElementsAre("set", "show", "mon"));
}

TEST_F(Abbreviation, OfSeveralNamesAll) {
    for (const char* word : {"s", "stat"}) {
        const auto result = spell_out(app_, {word});
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, ErrorCode::usage);
        EXPECT_THAT(result.error().message, HasSubstr("status or stats"));
    }
}

TEST_F(Abbreviation, NamesTheOneThatAWordLooksLike) {
    const auto refusal = [&](Words words) {
        const auto result = spell_out(app_, std::move(words));
        return result ? std::string("accepted") : result.error().message;
    };
    EXPECT_EQ(refusal({"moode"}), "there is no subcommand 'moode'; did you mean 'mode'?");
    EXPECT_EQ(refusal({"frobnicate", "mon"}), "there is no subcommand 'frobnicate'");
    EXPECT_EQ(refusal({"set", "lsit"}), "there is no subcommand 'lsit'; did you mean 'list'?");
    EXPECT_EQ(refusal({""}), "there is no subcommand ''");
    EXPECT_EQ(refusal({"wor"}), "there is no subcommand 'wor'") << "a hidden one";
    EXPECT_EQ(refusal({"help", "moode"}), "there is no subcommand 'moode'; did you mean 'mode'?");
}

TEST_F(Abbreviation, AWholeNameIsNoBeginning) {
    app_.add_subcommand("statuses");
    EXPECT_THAT(spelled({"status"}), ElementsAre("status"));
}

TEST_F(Abbreviation, LeavesArguments) {
    EXPECT_THAT(spelled({"mode", "mon", "mon"}), ElementsAre("mode", "mon", "mon"));
    EXPECT_THAT(spelled({"--", "mon"}), ElementsAre("--", "mon"));
}

TEST_F(Abbreviation, PassesOverOptionsAndTheirValues) {
    EXPECT_THAT(spelled({"-j", "mon"}), ElementsAre("-j", "monitor"));
    EXPECT_THAT(spelled({"-s", "mon", "mon"}), ElementsAre("-s", "mon", "monitor"));
    EXPECT_THAT(spelled({"--socket=x", "mon"}), ElementsAre("--socket=x", "monitor"));
    EXPECT_THAT(spelled({"set", "-j", "-c", "l", "l"}), ElementsAre("set", "-j", "-c", "l", "list"));
    EXPECT_THAT(spelled({"set", "-s", "l", "l"}), ElementsAre("set", "-s", "l", "list"));
}

TEST_F(Abbreviation, HelpIsTheirHelp) {
    EXPECT_THAT(spelled({"help"}), ElementsAre("help"));
    EXPECT_THAT(spelled({"help", "--help"}), ElementsAre("help", "--help"));
    EXPECT_THAT(spelled({"h", "mon"}), ElementsAre("monitor", "--help"));
    EXPECT_THAT(spelled({"help", "set", "l"}), ElementsAre("set", "list", "--help"));
    EXPECT_THAT(spelled({"help", "frobnicate"}), ElementsAre(HasSubstr("no subcommand 'frobnicate'")));
    EXPECT_THAT(spelled({"help", "stat"}), ElementsAre(HasSubstr("status or stats")));
}

}  // namespace
}  // namespace synward::cli
