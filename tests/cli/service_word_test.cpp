// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/service_word.h"

#include <gmock/gmock.h>

namespace synward::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Place, PortsListsAndRanges) {
    EXPECT_THAT(parse_place("80")->ports, ElementsAre(80));
    EXPECT_THAT(parse_place("443,80,80")->ports, ElementsAre(80, 443));
    EXPECT_THAT(parse_place("8000-8002")->ports, ElementsAre(8000, 8001, 8002));
    EXPECT_EQ(parse_place("1-65535")->ports.size(), 65535u);
    EXPECT_FALSE(parse_place("80")->address);
}

TEST(Place, Addresses) {
    EXPECT_EQ(parse_place("80/192.0.2.1")->address->to_string(), "192.0.2.1");
    EXPECT_EQ(parse_place("80,443/2001:db8::1")->address->to_string(), "2001:db8::1");
}

TEST(Place, RefusesEverythingElse) {
    for (const char* text :
         {"", "0", "65536", "99999", "-1", "80-", "-80", "90-80", "80,", ",80", "80 ", "http", "80//", "80/",
          "80/192.0.2", "80/192.0.2.1/24", "0x50", "+80", "80-90-100"}) {
        const auto place = parse_place(text);
        ASSERT_FALSE(place) << text;
        EXPECT_EQ(place.error().code, ErrorCode::usage) << text;
    }
}

struct ResolveTest : testing::Test {
    ResolveTest() {
        name(1, "web");
        name(2, "mail4");
        name(3, "mail6");
        policy.ports[80] = policy.ports[443] = 1;
        policy.ports[25] = SW_PORT_BY_ADDRESS;
        policy.addresses = {{*Address::parse("192.0.2.1"), 25, 2}, {*Address::parse("2001:db8::1"), 25, 3}};
    }
    void name(unsigned index, std::string_view text) {
        text.copy(policy.services[index].name, SW_NAME_LENGTH - 1);
    }
    CompiledPolicy policy;
};

TEST_F(ResolveTest, ByNameAndByPlace) {
    EXPECT_EQ(resolve_service(policy, "web"), "web");
    EXPECT_EQ(resolve_service(policy, "443"), "web");
    EXPECT_EQ(resolve_service(policy, "80,443"), "web");
    EXPECT_EQ(resolve_service(policy, "25/192.0.2.1"), "mail4");
    EXPECT_EQ(resolve_service(policy, "25/2001:db8::1"), "mail6");
}

TEST_F(ResolveTest, ANameOfDigitsComesFirst) {
    name(4, "80");
    EXPECT_EQ(resolve_service(policy, "80"), "80");
}

TEST_F(ResolveTest, TellsWhatThereIs) {
    const auto none = resolve_service(policy, "ftp");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, ErrorCode::missing);
    EXPECT_THAT(none.error().message, HasSubstr("web, mail4, mail6"));
    const auto both = resolve_service(policy, "25");
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, ErrorCode::usage);
    EXPECT_THAT(both.error().message, HasSubstr("mail4, mail6"));
    EXPECT_EQ(resolve_service(policy, "22").error().code, ErrorCode::missing);
    EXPECT_THAT(resolve_service({}, "22").error().message, HasSubstr("protect"));
}

}  // namespace
}  // namespace synward::cli
