// SPDX-License-Identifier: GPL-2.0-or-later
// What is local on which interface, from messages as the kernel sends them.
#include "lib/local_addresses.h"

#include <gmock/gmock.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>

#include "lib/local_services.h"

namespace synward {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Address at(const char* text) {
    return *Address::parse(text);
}

class Message {
  public:
    explicit Message(std::uint16_t type) : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = type;
    }
    template <typename T>
    T* extra() {
        return static_cast<T*>(mnl_nlmsg_put_extra_header(header_, sizeof(T)));
    }
    nlmsghdr* operator*() { return header_; }

  private:
    alignas(nlmsghdr) std::array<char, 512> buffer_{};
    nlmsghdr* header_;
};

class Network : public LocalNetwork {
  public:
    // `other_space`: `lower` is an index of another network namespace.
    void link(unsigned index, const char* name, const char* kind = "", unsigned master = 0,
              unsigned lower = 0, std::uint32_t table = 0, bool other_space = false) {
        Message m(RTM_NEWLINK);
        m.extra<ifinfomsg>()->ifi_index = static_cast<int>(index);
        mnl_attr_put_strz(*m, IFLA_IFNAME, name);
        if (master) mnl_attr_put_u32(*m, IFLA_MASTER, master);
        if (lower) mnl_attr_put_u32(*m, IFLA_LINK, lower);
        if (other_space) mnl_attr_put_u32(*m, IFLA_LINK_NETNSID, 7);
        if (*kind) {
            nlattr* info = mnl_attr_nest_start(*m, IFLA_LINKINFO);
            mnl_attr_put_strz(*m, IFLA_INFO_KIND, kind);
            if (table) {
                nlattr* data = mnl_attr_nest_start(*m, IFLA_INFO_DATA);
                mnl_attr_put_u32(*m, IFLA_VRF_TABLE, table);
                mnl_attr_nest_end(*m, data);
            }
            mnl_attr_nest_end(*m, info);
        }
        take_link(*m, links);
    }
    void route(const char* prefix, unsigned device, std::uint32_t table = RT_TABLE_LOCAL,
               unsigned char type = RTN_LOCAL) {
        const auto p = *Prefix::parse(prefix);
        Message m(RTM_NEWROUTE);
        auto* header = m.extra<rtmsg>();
        header->rtm_family = p.address.family == SW_IPV4 ? AF_INET : AF_INET6;
        header->rtm_dst_len = static_cast<unsigned char>(p.length);
        header->rtm_type = type;
        header->rtm_table = static_cast<unsigned char>(table < 256 ? table : unsigned{RT_TABLE_COMPAT});
        mnl_attr_put_u32(*m, RTA_TABLE, table);
        if (p.length) mnl_attr_put(*m, RTA_DST, p.address.bits() / 8, p.address.bytes.data());
        mnl_attr_put_u32(*m, RTA_OIF, device);
        take_route(*m, routes);
    }
    [[nodiscard]] std::vector<std::string> on(const std::string& interface) const {
        std::vector<std::string> text;
        for (const Prefix& p : local_addresses(*this, interface).prefixes) text.push_back(p.to_string());
        return text;
    }
    [[nodiscard]] std::vector<std::string> receivers(unsigned index) const {
        std::vector<std::string> names;
        for (const Link& link : reach(links, index).receivers) names.push_back(link.name);
        return names;
    }
};

TEST(LocalAddresses, AreThoseOfTheHostWhicheverDeviceHasThem) {
    Network n;
    n.link(1, "lo");
    n.link(2, "eth0");
    n.link(3, "eth1");
    n.route("127.0.0.0/8", 1);
    n.route("127.0.0.1", 1);
    n.route("::1", 1);
    n.route("192.0.2.129", 1);
    n.route("192.0.2.1", 2);
    n.route("198.18.0.1", 3);
    n.route("203.0.113.0/24", 1);
    n.route("192.0.2.255", 2, RT_TABLE_LOCAL, RTN_BROADCAST);
    n.route("192.0.2.0/24", 2, RT_TABLE_MAIN, RTN_UNICAST);
    n.route("198.19.0.0/16", 1, RT_TABLE_MAIN);
    n.route("0.0.0.0/0", 1, 100);  // of a transparent proxy, by a rule of its own
    n.route("2001:db8::1", 2);
    n.route("fe80::2", 2);
    n.route("fe80::3", 3);
    EXPECT_THAT(n.on("eth0"), ElementsAre("192.0.2.1", "192.0.2.129", "198.18.0.1", "198.19.0.0/16",
                                          "203.0.113.0/24", "2001:db8::1", "fe80::2"));
    EXPECT_THAT(n.on("eth7"), IsEmpty());
    const auto local = local_addresses(n, "eth0");
    EXPECT_EQ(local.index, 2u);
    EXPECT_TRUE(local.contains(at("203.0.113.77")));
    EXPECT_FALSE(local.contains(at("203.0.114.1")));
    EXPECT_FALSE(local.contains(at("fe80::3")));
}

TEST(LocalAddresses, OfAVrfAreThoseOfItsTable) {
    Network n;
    n.link(2, "eth0", "", 9);
    n.link(3, "eth1");
    n.link(4, "eth1.10", "vlan", 9, 3);
    n.link(9, "blue", "vrf", 0, 0, 1000);
    n.route("192.0.2.1", 3);
    n.route("192.0.2.2", 2, 1000);
    n.route("fe80::4", 4, 1000);
    EXPECT_THAT(n.on("eth0"), ElementsAre("192.0.2.2"));
    EXPECT_THAT(n.on("eth1"), ElementsAre("192.0.2.1", "192.0.2.2", "fe80::4"))
        << "a VLAN of it is in the VRF";
    EXPECT_THAT(local_addresses(n, "eth1").beyond, ElementsAre(4, 9));
    EXPECT_THAT(n.receivers(2), ElementsAre("eth0", "blue"));
    EXPECT_TRUE(reach(n.links, 2).vrf);
    EXPECT_FALSE(reach(n.links, 3).vrf);
    EXPECT_TRUE(reach(n.links, 3).vrf_tagged);
}

TEST(LocalAddresses, GoUpByBondsBridgesAndVlans) {
    Network n;
    n.link(2, "eth0", "", 3);
    n.link(3, "bond0", "bond");
    n.link(4, "bond0.7", "vlan", 5, 3);
    n.link(5, "br0", "bridge");
    n.link(6, "veth0", "veth", 0, 2);           // a peer of that index
    n.link(7, "moved", "vlan", 0, 2, 0, true);  // on top of somebody else's eth0
    n.link(8, "tunnel", "gre", 0, 3);
    n.route("fe80::5", 5);
    n.route("fe80::8", 8);
    EXPECT_THAT(n.receivers(2), ElementsAre("bond0", "br0"));
    EXPECT_THAT(n.on("eth0"), ElementsAre("fe80::5"));
    EXPECT_THAT(reach(n.links, 2).devices, ElementsAre(2, 3, 4, 5));
    EXPECT_THAT(reach(n.links, 77).devices, IsEmpty());
    EXPECT_FALSE(reach(n.links, 2).vrf) << "without a tag they stay in the bond";
    EXPECT_TRUE(reach(n.links, 2).vrf_tagged) << "VLAN 7 is in a bridge";
}

TEST(LocalAddresses, ALoopOfDevicesEnds) {
    Network n;
    n.link(2, "a", "vlan", 3, 3);
    n.link(3, "b", "vlan", 2, 2);
    EXPECT_THAT(reach(n.links, 2).devices, ElementsAre(2, 3));
}

TEST(LocalAddresses, ABadMessageIsLeftOut) {
    std::vector<LocalRoute> routes;
    Message odd(RTM_NEWROUTE);
    auto* header = odd.extra<rtmsg>();
    header->rtm_family = AF_INET;
    header->rtm_type = RTN_LOCAL;
    header->rtm_dst_len = 33;
    take_route(*odd, routes);
    header->rtm_dst_len = 32;  // and no address
    take_route(*odd, routes);
    Message nothing(RTM_NEWROUTE);
    take_route(*nothing, routes);
    EXPECT_THAT(routes, IsEmpty());
}

class LocalServices : public ::testing::Test {
  protected:
    static ServiceConfig service(const char* name, std::vector<std::uint16_t> ports, bool local,
                                 std::vector<Address> addresses = {}) {
        ServiceConfig s{.name = name, .ports = std::move(ports), .addresses = std::move(addresses)};
        s.local = local;
        return s;
    }
    static LocalAddresses local(std::vector<const char*> prefixes) {
        LocalAddresses result{.index = 2};
        for (const char* text : prefixes) result.prefixes.push_back(*Prefix::parse(text));
        return result;
    }
    CompiledPolicy compile(const CompiledPolicy* previous = nullptr) {
        auto policy = compile_policy(config_, host_, interface_, previous);
        EXPECT_TRUE(policy) << policy.error().message;
        return policy.value_or(CompiledPolicy{});
    }
    static std::vector<std::string> places(const CompiledPolicy& policy, std::string_view name) {
        std::vector<std::string> text;
        for (const ServiceView& view : view_services(policy))
            if (view.name == name)
                for (const auto& [address, port] : view.addresses)
                    text.push_back(address.to_string() + " " + std::to_string(port));
        std::ranges::sort(text);
        return text;
    }
    LocalServices() {
        host_.reqsk = true;
        interface_.name = "eth0";
    }
    Config config_;
    HostFacts host_;
    Interface interface_;
};

TEST_F(LocalServices, HaveWhatNobodyElseNames) {
    config_.services = {service("web", {80, 443}, true), service("own", {80}, false, {at("192.0.2.1")})};
    fill_local(config_.services, local({"192.0.2.1", "203.0.113.0/31", "2001:db8::1"}));
    const auto policy = compile();
    EXPECT_THAT(places(policy, "web"),
                ElementsAre("192.0.2.1 443", "2001:db8::1 443", "2001:db8::1 80", "203.0.113.0 443",
                            "203.0.113.0 80", "203.0.113.1 443", "203.0.113.1 80"));
    EXPECT_THAT(places(policy, "own"), ElementsAre("192.0.2.1 80"));
    EXPECT_TRUE(policy.services[policy.find("web")].local);
}

TEST_F(LocalServices, WithoutAnAddressProtectNothing) {
    config_.services = {service("web", {80}, true)};
    const auto policy = compile();
    EXPECT_EQ(policy.ports[80], SW_PORT_BY_ADDRESS);
    EXPECT_THAT(policy.addresses, IsEmpty());
    EXPECT_THAT(policy.notes, ::testing::Contains(::testing::HasSubstr("no address is local")));
}

TEST_F(LocalServices, SayWhatHasNoRoom) {
    config_.services = {service("web", {80, 443}, true)};
    fill_local(config_.services, local({"192.0.2.1", "198.18.0.0/15", "203.0.113.0/24", "2001:db8::/64"}));
    const auto left = place_local(config_.services);
    EXPECT_EQ(left.places.size(), 2u * 257);
    ASSERT_THAT(left.left, SizeIs(1));
    EXPECT_THAT(left.left[0].second,
                ::testing::HasSubstr("198.18.0.0/15, 2001:db8::/64, since there is room"));
    fill_local(config_.services, local({"198.18.0.0/22", "203.0.113.1"}));
    EXPECT_EQ(place_local(config_.services).places.size(), most_places) << "2,048 pairs fit, and no more";
}

TEST_F(LocalServices, FollowAndLeaveTheRestAlone) {
    config_.services = {service("web", {80}, true), service("ssh", {22}, false, {at("192.0.2.1")})};
    fill_local(config_.services, local({"192.0.2.1", "192.0.2.2"}));
    auto live = compile();
    live.config.abi = SW_ABI_VERSION;
    EXPECT_FALSE(follow_local(live, compile(&live))) << "nothing changed";
    live.services[live.find("web")].mode = SW_MODE_OFF;  // by `synward mode`
    // `synward protect 80/192.0.2.7`, at run time
    live.services[9].name[0] = 'x';
    live.addresses.push_back({at("192.0.2.7"), 80, 9});
    fill_local(config_.services, local({"192.0.2.2", "192.0.2.3", "192.0.2.7"}));
    const auto next = follow_local(live, compile(&live));
    ASSERT_TRUE(next);
    EXPECT_THAT(places(*next, "web"), ElementsAre("192.0.2.2 80", "192.0.2.3 80"));
    EXPECT_THAT(places(*next, "ssh"), ElementsAre("192.0.2.1 22"));
    EXPECT_THAT(places(*next, "x"), ElementsAre("192.0.2.7 80"));
    EXPECT_EQ(next->services[next->find("web")].mode, SW_MODE_OFF);
    fill_local(config_.services, local({}));
    const auto none = follow_local(*next, compile(&*next));
    ASSERT_TRUE(none);
    EXPECT_THAT(places(*none, "web"), IsEmpty());
    EXPECT_EQ(none->ports[80], SW_PORT_BY_ADDRESS) << "not on every address instead";
}

}  // namespace
}  // namespace synward
