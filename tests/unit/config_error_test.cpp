// SPDX-License-Identifier: GPL-2.0-or-later
// Configs that are wrong: the message names the place, the key and what is allowed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "lib/config.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string refusal(std::string_view text) {
    const auto config = parse_config(text, "test.toml");
    EXPECT_FALSE(config) << "accepted: " << text;
    if (config) return {};
    EXPECT_EQ(config.error().code, ErrorCode::config);
    return config.error().message;
}

std::string service(std::string_view lines) {
    return "[[service]]\nname = \"web\"\nport = 80\n" + std::string(lines);
}

TEST(ConfigError, NotToml) {
    EXPECT_THAT(refusal("[daemon\n"), AllOf(HasSubstr("test.toml:1:"), HasSubstr("not TOML")));
}

// toml++ 3.3.0 has undefined behaviour for these; found by fuzz_config.
TEST(ConfigError, CharactersBeyondAscii) {
    EXPECT_THAT(refusal("[limits]\nreply_rate = 10\u02c4\n"),
                AllOf(HasSubstr("test.toml:2:16: not TOML"), HasSubstr("beyond ASCII")));
    EXPECT_THAT(refusal("# \u00e9\n\u00e9 = 1\n"), HasSubstr("test.toml:2:1: not TOML"));
    // Within quotes too: where a string ends in a faulty text is the parser's secret.
    EXPECT_THAT(refusal("\"\u00e9\" = 1\n"), HasSubstr("test.toml:1:2: not TOML"));
    EXPECT_THAT(refusal("a = \"#\" # \u00e9\n"), HasSubstr("on lines of their own"));
    EXPECT_TRUE(parse_config("# \u00e9 '\n[daemon] # \u00e9\nobject = \"/x\"\n", "t"));
    EXPECT_TRUE(parse_config("\xef\xbb\xbf[daemon]\r\nobject = '/x'\r\n", "t"));
}

TEST(ConfigError, WhatTheParserWouldStumbleOver) {
    EXPECT_THAT(refusal("a = [}\n"), HasSubstr("test.toml:1:6: not TOML: no inline tables"));
    EXPECT_THAT(refusal(std::string_view("[\0]\n", 4)), HasSubstr("a control character"));
    EXPECT_THAT(refusal("[\rx]\n"), HasSubstr("a control character"));
}

TEST(ConfigError, UnknownKeysWithTheOneThatWasMeant) {
    EXPECT_THAT(
        refusal("[daemon]\ninterface = [\"eth0\"]\n"),
        AllOf(HasSubstr("test.toml:2:1: daemon.'interface'"), HasSubstr("did you mean 'interfaces'?")));
    EXPECT_THAT(refusal("[deamon]\n"), AllOf(HasSubstr("test.toml:1:"), HasSubstr("did you mean 'daemon'?")));
    EXPECT_THAT(refusal(service("\nmod = \"off\"\n")),
                AllOf(HasSubstr("test.toml:5:1: service.web.'mod'"), HasSubstr("did you mean 'mode'?")));
    EXPECT_THAT(refusal("[limits]\nzzzzzzzz = 1\n"),
                AllOf(HasSubstr("known are reply_rate, prefix_rate, flows"), Not(HasSubstr("did you mean"))));
}

TEST(ConfigError, WordsThatAreNotAllowed) {
    EXPECT_THAT(refusal(service("mode = \"always\"\n")),
                AllOf(HasSubstr("test.toml:4:8: service.web.mode: 'always' is unknown"),
                      HasSubstr("allowed are off, monitor, auto, cookie")));
    EXPECT_THAT(refusal(service("delivery = 3\n")),
                HasSubstr("an integer where one of auto, reqsk, kernel, synproxy"));
    EXPECT_THAT(refusal("[defaults]\nstray = \"reject\"\n"), HasSubstr("allowed are pass, drop, escalate"));
    EXPECT_THAT(refusal("[daemon]\nlog_level = \"loud\"\n"), HasSubstr("trace, debug, info, warn, error"));
}

TEST(ConfigError, NumbersOutOfRange) {
    EXPECT_THAT(
        refusal("[[service]]\nname = \"a\"\nport = 0\n"),
        AllOf(HasSubstr("test.toml:3:8: service.a.port: 0 is out of range"), HasSubstr("1 to 65535")));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\nport = [80, 65536]\n"), HasSubstr("test.toml:3:13"));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\nport = \"80\"\n"),
                HasSubstr("a string where an integer"));
    EXPECT_THAT(refusal(service("wscale = 15\n")), HasSubstr("0 to 14"));
    EXPECT_THAT(refusal(service("mss = 100\n")), HasSubstr("256 to 65495"));
    EXPECT_THAT(refusal(service("arm_rate = 0\n")), HasSubstr("1 to 100000000"));
    EXPECT_THAT(refusal("[limits]\nreply_rate = -1\n"), HasSubstr("0 to 4294967295"));
    EXPECT_THAT(refusal("[limits]\nflows = 10\n"), HasSubstr("1024 to 16777216"));
    EXPECT_THAT(refusal("[limits]\nflows = 9223372036854775807\n"), HasSubstr("out of range"));
    EXPECT_THAT(refusal(service("sack = 1\n")), HasSubstr("true or false"));
}

TEST(ConfigError, Durations) {
    EXPECT_THAT(refusal(service("hold = \"soon\"\n")),
                AllOf(HasSubstr("'soon' is no duration"), HasSubstr("\"100ms\" to \"1d\"")));
    EXPECT_THAT(refusal(service("hold = 10\n")), HasSubstr("an integer is no duration"));
    EXPECT_THAT(refusal("[daemon]\nkey_rotation = \"1m\"\n"),
                AllOf(HasSubstr("out of range"), HasSubstr("\"5m\" to \"30d\"")));
}

TEST(ConfigError, DisarmingAboveArming) {
    EXPECT_THAT(
        refusal(service("arm_rate = 100\ndisarm_rate = 101\n")),
        AllOf(HasSubstr("test.toml:5:15: service.web.disarm_rate"), HasSubstr("at most that is allowed")));
    EXPECT_THAT(refusal("[defaults]\ndisarm_rate = 500\n" + service("arm_rate = 100\n")),
                HasSubstr("service.web.disarm_rate: 500 is above arm_rate (100)"));
}

TEST(ConfigError, MissingNameOrPort) {
    EXPECT_THAT(refusal("[[service]]\nport = 80\n"),
                AllOf(HasSubstr("test.toml:1:"), HasSubstr("service.1.name: is missing")));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\n"), HasSubstr("service.a.port: is missing"));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\nport = []\n"), HasSubstr("the list is empty"));
}

// Only the daemon needs them, so the config by itself is right.
TEST(ConfigError, NoInterfaces) {
    const auto daemon_says = [](std::string_view text) {
        const auto config = parse_config(text, "test.toml");
        if (!config) return "no config: " + config.error().message;
        const auto named = check_interfaces(*config, "test.toml");
        return named ? std::string() : named.error().message;
    };
    const std::string web = service("");
    EXPECT_THAT(daemon_says(web), StartsWith("test.toml:1:1: daemon.interfaces: is missing; name"));
    EXPECT_THAT(daemon_says(""), StartsWith("test.toml:1:1: "));
    EXPECT_THAT(daemon_says(web + "[daemon]\n"), StartsWith("test.toml:4:1: daemon.interfaces: is missing"));
    EXPECT_THAT(daemon_says("\n  [daemon]\nlog_level = \"info\"\n"), StartsWith("test.toml:2:3: "));
    EXPECT_THAT(daemon_says("\ndaemon.log_level = \"info\"\n"), StartsWith("test.toml:2:1: "));
    EXPECT_EQ(daemon_says("[daemon]\ninterfaces = \"eth0\"\n"), "");
    EXPECT_EQ(check_interfaces({}, "t").error().code, ErrorCode::config);
    EXPECT_THAT(refusal("[daemon]\ninterfaces = []\n"),
                AllOf(StartsWith("test.toml:2:14: daemon.interfaces: the list is empty; name the interfaces"),
                      Not(HasSubstr("leave the key out"))));
}

TEST(ConfigError, HeadersWithoutAName) {
    for (const char* text : {"[=\n", "[\n", "  [ # comment\n", "[[\n", "[ [ =\n"})
        EXPECT_THAT(refusal(text), HasSubstr("a name must follow '['")) << text;
    EXPECT_FALSE(parse_config("[", "t"));
    EXPECT_FALSE(parse_config("[]", "t"));
}

TEST(ConfigError, Names) {
    const std::string rule = "1 to 27 letters, digits, '-', '_' and '.' are allowed";
    EXPECT_THAT(refusal("[[service]]\nname = \"\"\nport = 80\n"), HasSubstr(rule));
    EXPECT_THAT(refusal("[[service]]\nname = \"a b\"\nport = 80\n"), HasSubstr(rule));
    EXPECT_THAT(refusal("[[service]]\nname = \"" + std::string(28, 'x') + "\"\nport = 80\n"),
                HasSubstr(rule));
    EXPECT_TRUE(parse_config("[[service]]\nname = \"" + std::string(27, 'x') + "\"\nport = 80\n", "t"));
}

TEST(ConfigError, ControlCharactersDoNotReachTheTerminal) {
    const std::string message =
        refusal("[[service]]\nname = \"a\\u001b[2Jb\"\nport = 80\nmode = \"\\u001b[2J\"\n");
    EXPECT_EQ(message.find('\x1b'), std::string::npos) << message;
}

TEST(ConfigError, TheSameThingTwice) {
    EXPECT_THAT(refusal(service("[[service]]\nname = \"web\"\nport = 81\n")),
                AllOf(HasSubstr("test.toml:5:8"), HasSubstr("line 2 has this name too")));
    EXPECT_THAT(refusal(service("[[service]]\nname = \"b\"\nport = [81, 80]\n")),
                AllOf(HasSubstr("service.b.port: 80 is already protected by service 'web'")));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\nport = [80, 80]\n"), HasSubstr("80 is listed twice"));
    EXPECT_THAT(refusal("[[service]]\nname = \"a\"\nport = 80\naddress = [\"192.0.2.1\", \"192.0.2.1\"]\n"),
                HasSubstr("192.0.2.1 is listed twice"));
    EXPECT_THAT(refusal("[daemon]\ninterfaces = [\"eth0\", \"eth0\"]\n"),
                HasSubstr("'eth0' is listed twice"));
    EXPECT_THAT(refusal("[sources]\ndeny = [\"192.0.2.1\"]\nallow = [\"192.0.2.1/32\"]\n"),
                HasSubstr("is already in sources."));
}

TEST(ConfigError, OneAddressAndPortForTwoServices) {
    const std::string a = "[[service]]\nname = \"a\"\nport = 80\naddress = \"192.0.2.1\"\n";
    EXPECT_THAT(
        refusal(a + "[[service]]\nname = \"b\"\nport = 80\naddress = [\"192.0.2.2\", \"192.0.2.1\"]\n"),
        HasSubstr("192.0.2.1 port 80 is already protected by service 'a'"));
    EXPECT_THAT(refusal(a + "[[service]]\nname = \"b\"\nport = 80\n"),
                HasSubstr("already protected by service 'a'"));
    EXPECT_THAT(refusal("[[service]]\nname = \"b\"\nport = 80\n" + a),
                HasSubstr("already protected by service 'b'"));
}

TEST(ConfigError, OneServiceOfAPortIsOnEveryLocalAddress) {
    const std::string a = "[[service]]\nname = \"a\"\nport = 80\naddress = \"local\"\n";
    EXPECT_THAT(refusal(a + "[[service]]\nname = \"b\"\nport = 80\naddress = \"local\"\n"),
                HasSubstr("80 is already protected on every local address by service 'a'"));
    EXPECT_THAT(refusal(a + "[[service]]\nname = \"b\"\nport = 80\n"),
                HasSubstr("already protected by service 'a'"));
    EXPECT_THAT(refusal("[[service]]\nname = \"b\"\nport = 80\n" + a),
                HasSubstr("already protected on every local address by service 'b'"));
    EXPECT_THAT(refusal(service("address = [\"local\", \"local\"]\n")),
                HasSubstr("\"local\" is listed twice"));
}

TEST(ConfigError, AddressesAndSources) {
    EXPECT_THAT(refusal(service("address = \"192.0.2.0/24\"\n")), HasSubstr("no address of an interface"));
    EXPECT_THAT(refusal(service("address = \"0.0.0.0\"\n")), HasSubstr("leave the key out"));
    EXPECT_THAT(refusal(service("address = \"::\"\n")), HasSubstr("leave the key out"));
    EXPECT_THAT(refusal("[sources]\ndeny = [\"192.0.2.1/24\"]\n"),
                AllOf(HasSubstr("test.toml:2:9"), HasSubstr("bits set behind its length")));
    EXPECT_THAT(refusal("[sources]\ndeny = [\"example.org\"]\n"), HasSubstr("no address and no prefix"));
}

TEST(ConfigError, InterfacesAndPaths) {
    EXPECT_THAT(refusal("[daemon]\ninterfaces = [\"an-interface-name-too-long\"]\n"),
                HasSubstr("1 to 15 characters"));
    EXPECT_THAT(refusal("[daemon]\ninterfaces = [\"a/b\"]\n"), HasSubstr("without slash"));
    EXPECT_THAT(refusal("[daemon]\ncontrol = \"relative.sock\"\n"), HasSubstr("absolute"));
    EXPECT_THAT(refusal("[daemon]\ncontrol = \"\"\n"), HasSubstr("absolute"));
}

TEST(ConfigError, SectionsOfTheWrongKind) {
    EXPECT_THAT(refusal("daemon = 1\n"), HasSubstr("write [daemon]"));
    EXPECT_THAT(refusal("defaults = []\n"), HasSubstr("write [defaults]"));
    EXPECT_THAT(refusal("[service]\nname = \"a\"\n"), HasSubstr("write [[service]]"));
    EXPECT_THAT(refusal("service = [1]\n"), HasSubstr("write [[service]]"));
}

TEST(ConfigError, EveryMistakeHasALineUpToALimit) {
    const std::string three = refusal("[daemon]\na = 1\n[limits]\nflows = 1\n[[service]]\nname = \"x\"\n");
    EXPECT_EQ(std::count(three.begin(), three.end(), '\n'), 2) << three;

    std::string many = "[daemon]\n";
    for (int i = 0; i < 1000; i++) many += "k" + std::to_string(i) + " = 1\n";
    const std::string message = refusal(many);
    EXPECT_THAT(message, HasSubstr("more mistakes are not shown"));
    EXPECT_LT(std::count(message.begin(), message.end(), '\n'), 25);
}

TEST(ConfigError, TooManyServicesOrAddresses) {
    std::string services;
    for (int i = 0; i < 256; i++)
        services +=
            "[[service]]\nname = \"s" + std::to_string(i) + "\"\nport = " + std::to_string(i + 1) + "\n";
    EXPECT_THAT(refusal(services), HasSubstr("256 services; at most 255 are allowed"));

    std::string one = "[[service]]\nname = \"a\"\nport = [80, 443, 8080]\naddress = [";
    for (int i = 0; i < 700; i++)
        one += "\"198.18." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\",";
    EXPECT_THAT(refusal(one + "]\n"), HasSubstr("more than 2048 pairs of address and port"));
}

TEST(Closest, FindsTyposAndLeavesTheRestAlone) {
    EXPECT_EQ(closest("interfaes", {"interfaces", "control"}), "interfaces");
    EXPECT_EQ(closest("arm-rate", {"arm_rate", "disarm_rate"}), "arm_rate");
    EXPECT_EQ(closest("unrelated", {"interfaces", "control"}), "");
    EXPECT_EQ(closest(std::string(100'000, 'x'), {"interfaces"}), "");
}

TEST(ConfigError, MetricsNeedAnAddressWithAPort) {
    EXPECT_THAT(refusal("[metrics]\nlisten = \"9478\"\n"),
                AllOf(HasSubstr("test.toml:2:10: metrics.listen: '9478' is no address with a port"),
                      HasSubstr("\"127.0.0.1:9478\"")));
    EXPECT_THAT(refusal("[metrics]\nlisten = 9478\n"), HasSubstr("metrics.listen"));
    EXPECT_THAT(refusal("[metrics]\nport = 9478\n"), HasSubstr("metrics.'port'"));
}

TEST(ConfigError, AreFitForATerminal) {
    const std::string evil = "\\u001b]0;x\\u0007" + std::string(200, 'x');
    for (const std::string& text : std::vector<std::string>{
             "[\"" + evil + "\"]\n", "[daemon]\n\"" + evil + "\" = 1\n",
             "[daemon]\ninterfaces = [\"\\u001b]0;x\", \"\\u001b]0;x\"]\n",
             "[decide]\nrecord = \"" + evil + "\"\n", "[metrics]\nlisten = \"" + evil + "\"\n",
             "[defaults]\nmode = \"" + evil + "\"\n",
             "[[service]]\nname = \"" + evil + "\"\nport = 1\n[[service]]\nname = \"b\"\nport = 1\n"}) {
        const std::string said = refusal(text);
        EXPECT_THAT(said, HasSubstr("?]0;x")) << text;
        EXPECT_THAT(said, Not(HasSubstr("\033"))) << text;
        EXPECT_THAT(said, Not(HasSubstr(std::string(80, 'x')))) << text;
    }
}

}  // namespace
}  // namespace synward
