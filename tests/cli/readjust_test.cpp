// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/readjust.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace synward {
namespace {

CompiledPolicy compiled(const char* name, unsigned mtu, std::uint8_t mac,
                        const CompiledPolicy* previous = nullptr, const Sysctls& sysctls = {}) {
    Config config;
    config.services.push_back({.name = name, .ports = {80}});
    Interface interface { .name = "eth0", .index = 2, .mtu = mtu };
    interface.mac = {2, 0, 0, 0, 0, mac};
    HostFacts host;
    host.reqsk = true;
    host.sysctls = sysctls;
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

// What the host's sysctls forbid, the kernel refuses to take from a cookie.
TEST(Readjust, FollowsTheSysctls) {
    const CompiledPolicy live = compiled("web", 1500, 1);
    Sysctls bare;
    bare.tcp_timestamps = 0;
    bare.tcp_sack = false;
    bare.tcp_rmem_max = 262144;
    bare.ttl = 99;
    const CompiledPolicy less = readjust(live, compiled("web", 1500, 1, &live, bare), 1500);
    const sw_service& web = less.services[less.find("web")];
    EXPECT_EQ(web.options, SW_OPTION_ECN | SW_OPTION_WSCALE);
    EXPECT_EQ(web.wscale, host_wscale(bare));
    EXPECT_EQ(web.ttl[SW_IPV4], 99);
    EXPECT_EQ(less.sysctls, bare);
    const CompiledPolicy again = readjust(less, compiled("web", 1500, 1, &less), 1500);
    EXPECT_EQ(again.services[1].options, live.services[1].options) << "and comes back";

    const CompiledPolicy other = readjust(live, compiled("other", 1500, 1, &live, bare), 1500);
    EXPECT_EQ(other.services[other.find("web")].options, SW_OPTION_ECN | SW_OPTION_WSCALE)
        << "also of a service that is not in the config";
}

TEST(Readjust, AServiceThatIsNotInTheConfigOnlyShrinks) {
    CompiledPolicy live = compiled("other", 1500, 1);
    const CompiledPolicy result = readjust(live, compiled("web", 9000, 1, &live), 9000);
    EXPECT_EQ(ntohs(result.services[result.find("other")].mss[SW_IPV4]), 1460);
}

}  // namespace
}  // namespace synward
