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

TEST(Place, OtherNotationsAreTold) {
    const auto says = [](const char* text) {
        const auto place = parse_place(text);
        return place ? "taken" : place.error().message;
    };
    EXPECT_THAT(says("192.0.2.1:443"), HasSubstr("write 443/192.0.2.1"));
    EXPECT_THAT(says("[2001:db8::1]:443"), HasSubstr("write 443/2001:db8::1"));
    EXPECT_THAT(says("192.0.2.1/443"), HasSubstr("write 443/192.0.2.1"));
    EXPECT_THAT(says("80,443/[2001:db8::1]"), HasSubstr("write 80,443/2001:db8::1"));
    EXPECT_THAT(says("443/192.0.2"), HasSubstr("'192.0.2' is no IP address; give PORT/ADDRESS"));
    EXPECT_TRUE(is_place("192.0.2.1:443"));
    EXPECT_FALSE(is_place("web"));
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
    EXPECT_THAT(none.error().message,
                HasSubstr("there are web (80,443), mail4 (25/192.0.2.1), mail6 (25/2001:db8::1)"));
    const auto both = resolve_service(policy, "25");
    ASSERT_FALSE(both);
    EXPECT_EQ(both.error().code, ErrorCode::usage);
    EXPECT_THAT(both.error().message, HasSubstr("mail4 (25/192.0.2.1), mail6 (25/2001:db8::1); name one"));
    EXPECT_EQ(resolve_service(policy, "22").error().code, ErrorCode::missing);
    EXPECT_THAT(resolve_service({}, "22").error().message, HasSubstr("protect"));
}

TEST_F(ResolveTest, TellsWhatThereIsWhereAPlaceDoesNotFit) {
    const auto elsewhere = resolve_service(policy, "25/192.0.2.9");
    ASSERT_FALSE(elsewhere);
    EXPECT_EQ(elsewhere.error().code, ErrorCode::missing);
    EXPECT_THAT(elsewhere.error().message, HasSubstr("mail4 (25/192.0.2.1)"));
    for (const char* word : {"25/nonsense", "smtp/192.0.2.1", "192.0.2.1:25", "25/192.0.2.0/24", "99999"}) {
        const auto refused = resolve_service(policy, word);
        ASSERT_FALSE(refused) << word;
        EXPECT_EQ(refused.error().code, ErrorCode::usage) << word;
        EXPECT_THAT(refused.error().message, HasSubstr("; there are web (80,443), mail4")) << word;
    }
}

TEST_F(ResolveTest, AMessageStaysShort) {
    for (unsigned i = 4; i < 250; i++) name(i, "service-" + std::to_string(i));
    for (unsigned host = 2; host < 250; host++)
        policy.addresses.push_back({*Address::parse("198.51.100." + std::to_string(host)), 25, 2});
    const std::string message = resolve_service(policy, "ftp").error().message;
    EXPECT_THAT(message, HasSubstr("mail4 (25/192.0.2.1 25/198.51.100.2 25/198.51.100.3 ...)"));
    EXPECT_THAT(message, HasSubstr("service-20 and 229 more, which `synward status` shows"));
    EXPECT_LT(message.size(), 600u);
}

}  // namespace
}  // namespace synward::cli
