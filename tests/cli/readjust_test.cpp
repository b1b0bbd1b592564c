// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/readjust.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace synward {
namespace {

CompiledPolicy compiled(const char* name, unsigned mtu, std::uint8_t mac,
                        const CompiledPolicy* previous = nullptr) {
    Config config;
    config.services.push_back({.name = name, .ports = {80}});
    Interface interface { .name = "eth0", .index = 2, .mtu = mtu };
    interface.mac = {2, 0, 0, 0, 0, mac};
    HostFacts host;
    host.reqsk = true;
    return compile_policy(config, host, interface, previous).value();
}

TEST(Readjust, FollowsMtuAndAddress) {
    const CompiledPolicy live = compiled("web", 1500, 1);
    const CompiledPolicy result = readjust(live, compiled("web", 9000, 7, &live), 9000);
    const sw_service& web = result.services[result.find("web")];
    EXPECT_EQ(ntohs(web.mss[SW_IPV4]), 8960);
    EXPECT_EQ(ntohs(web.mss[SW_IPV6]), 8940);
    EXPECT_EQ(ntohs(web.window[SW_IPV4][0]) % 8960, 0);
    EXPECT_EQ(result.config.mac[5], 7);
}

TEST(Readjust, KeepsWhatAnAdministratorChanged) {
    CompiledPolicy live = compiled("web", 1500, 1);
    live.services[live.find("web")].mode = SW_MODE_COOKIE;
    const CompiledPolicy added = compiled("other", 1500, 1, &live);
    const unsigned other = added.find("other");
    live.services[other] = added.services[other];
    live.ports[8080] = static_cast<std::uint16_t>(other);

    const CompiledPolicy result = readjust(live, compiled("web", 1400, 1, &live), 1400);
    EXPECT_EQ(result.services[result.find("web")].mode, SW_MODE_COOKIE);
    EXPECT_EQ(result.find("other"), other);
    EXPECT_EQ(result.ports[8080], other);
    EXPECT_EQ(ntohs(result.services[other].mss[SW_IPV4]), 1360);
    EXPECT_EQ(ntohs(result.services[other].mss[SW_IPV6]), 1340);
}

TEST(Readjust, AServiceThatIsNotInTheConfigOnlyShrinks) {
    CompiledPolicy live = compiled("other", 1500, 1);
    const CompiledPolicy result = readjust(live, compiled("web", 9000, 1, &live), 9000);
    EXPECT_EQ(ntohs(result.services[result.find("other")].mss[SW_IPV4]), 1460);
}

}  // namespace
}  // namespace synward
