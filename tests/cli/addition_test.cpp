// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/addition.h"

#include <gmock/gmock.h>

namespace synward::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

Addition made(std::string_view place, const ServiceOptions& options = {}) {
    return make_addition(*parse_place(place), options).value();
}

TEST(Addition, NamesAServiceAfterItsPorts) {
    EXPECT_EQ(made("80").config.services[0].name, "port-80");
    EXPECT_EQ(made("80,443").config.services[0].name, "port-80.443");
    EXPECT_EQ(made("8000-8010").config.services[0].name, "port-8000-8010");
    EXPECT_EQ(made("80/192.0.2.1").config.services[0].name, "port-80-192.0.2.1");
    EXPECT_EQ(made("80/2001:db8::1").config.services[0].name, "port-80-2001.db8..1");
}

TEST(Addition, SaysWhatTheConfigFileWouldSay) {
    const Addition addition = made("80,443/192.0.2.1", {.name = "web", .mode = "cookie", .arm_rate = 500});
    EXPECT_EQ(addition.toml,
              "[[service]]\nname = \"web\"\nport = [80, 443]\naddress = \"192.0.2.1\"\nmode = \"cookie\"\n"
              "arm_rate = 500\n");
    const ServiceConfig& service = addition.config.services[0];
    EXPECT_THAT(service.ports, testing::ElementsAre(80, 443));
    EXPECT_EQ(service.settings.mode, SW_MODE_COOKIE);
    EXPECT_EQ(service.settings.arm_rate, 500u);
}

TEST(Addition, RefusesWhatTheConfigFileRefuses) {
    const auto mode = make_addition(*parse_place("80"), {.mode = "sometimes"});
    ASSERT_FALSE(mode);
    EXPECT_EQ(mode.error().code, ErrorCode::usage);
    EXPECT_THAT(mode.error().message, HasSubstr("monitor"));
    // A place in a text that the user never wrote would only confuse.
    EXPECT_THAT(mode.error().message, Not(HasSubstr("command line")));
    EXPECT_FALSE(make_addition(*parse_place("80"), {.hold = "forever"}));
    EXPECT_FALSE(make_addition(*parse_place("80"), {.name = "two words"}));
}

TEST(Addition, QuotesWhatCouldEndTheString) {
    const auto name = make_addition(*parse_place("80"), {.name = "a\"\nport = 22 # "});
    ASSERT_FALSE(name);
    EXPECT_THAT(name.error().message, HasSubstr("name"));
}

}  // namespace
}  // namespace synward::cli
