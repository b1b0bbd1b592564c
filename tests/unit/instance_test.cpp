// SPDX-License-Identifier: GPL-2.0-or-later
// Loading, adopting, changing and unloading, on a veth pair.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>

#include <cstring>

#include "fixture.h"
#include "lib/abi/maps.h"
#include "lib/events.h"
#include "lib/json.h"
#include "lib/reasons.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A SYN from 198.18.0.2 to 198.18.0.1, to the station of `to`. Checksums are wrong: nothing
// looks at those of a SYN.
std::vector<std::uint8_t> syn(const Interface& to, std::uint16_t port) {
    std::vector<std::uint8_t> f(60);
    std::copy(to.mac.begin(), to.mac.end(), f.begin());
    const std::uint8_t rest[] = {2,
                                 0,
                                 0,
                                 0,
                                 0,
                                 2,
                                 8,
                                 0,
                                 0x45,
                                 0,
                                 0,
                                 40,
                                 0,
                                 0,
                                 0,
                                 0,
                                 64,
                                 6,
                                 0,
                                 0,
                                 198,
                                 18,
                                 0,
                                 2,
                                 198,
                                 18,
                                 0,
                                 1,
                                 0x9c,
                                 0x40,
                                 static_cast<std::uint8_t>(port >> 8),
                                 static_cast<std::uint8_t>(port),
                                 0,
                                 0,
                                 0,
                                 1,
                                 0,
                                 0,
                                 0,
                                 0,
                                 0x50,
                                 2,
                                 0xfa,
                                 0xf0,
                                 0,
                                 0,
                                 0,
                                 0};
    std::copy(std::begin(rest), std::end(rest), f.begin() + 6);
    return f;
}

// Verdict of the program for a frame, handed to it `times` times.
std::uint32_t verdict(const Instance& instance, const std::vector<std::uint8_t>& frame, int times = 1) {
    std::vector<std::uint8_t> out(2048);
    xdp_md context{.data_end = static_cast<std::uint32_t>(frame.size()),
                   .ingress_ifindex = instance.interface().index};
    bpf_test_run_opts run{.sz = sizeof(bpf_test_run_opts)};
    run.data_in = frame.data();
    run.data_size_in = static_cast<std::uint32_t>(frame.size());
    run.data_out = out.data();
    run.data_size_out = static_cast<std::uint32_t>(out.size());
    run.ctx_in = &context;
    run.ctx_size_in = sizeof context;
    run.repeat = times;
    EXPECT_EQ(bpf_prog_test_run_opts(instance.program_fd(), &run), 0);
    return run.retval;
}

std::uint32_t attach_stranger(const Interface& interface) {
    const bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
                             {.code = BPF_JMP | BPF_EXIT}};
    const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "stranger", "GPL", pass, 2, nullptr);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(bpf_xdp_attach(static_cast<int>(interface.index), fd, XDP_FLAGS_DRV_MODE, nullptr), 0);
    close(fd);
    std::uint32_t id = 0;
    bpf_xdp_query_id(static_cast<int>(interface.index), 0, &id);
    return id;
}

TEST_F(InstanceTest, LoadsAttachesAndUnloadsWithoutATrace) {
    const std::string before = output("ip -d link show here; tc qdisc show dev here");
    const auto nothing = Instance::find(space_.here());
    ASSERT_FALSE(nothing);
    EXPECT_EQ(nothing.error().code, ErrorCode::missing);
    {
        const Instance instance = open();
        EXPECT_EQ(instance.attachment().mode, AttachMode::native);
        EXPECT_FALSE(instance.attachment().adopted);
        EXPECT_TRUE(instance.attachment().tc);
        EXPECT_TRUE(instance.alive());
        EXPECT_EQ(instance.config().abi, 0u);
    }
    EXPECT_THAT(output("ip -d link show here"), HasSubstr("name synward"));
    EXPECT_THAT(output("tc filter show dev here ingress"), HasSubstr("synward_tc"));
    must(Instance::unload(space_.here()));
    EXPECT_EQ(output("ip -d link show here; tc qdisc show dev here"), before);
    const auto again = Instance::unload(space_.here());
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, ErrorCode::missing);
}

TEST_F(InstanceTest, AnEmptyPolicyPassesEverythingAndCounts) {
    const Instance instance = open();
    EXPECT_EQ(verdict(instance, syn(space_.here(), 80)), static_cast<unsigned>(XDP_PASS));
    EXPECT_EQ(must(instance.stats()).total()[SW_REASON_NO_POLICY], 1u);
    EXPECT_EQ(must(instance.read_policy()).config.abi, 0u);
}

TEST_F(InstanceTest, AnotherProcessAdoptsWhatIsThere) {
    add("web", {80}, SW_MODE_COOKIE);
    std::uint32_t id = 0;
    {
        Instance first = open();
        apply(first);
        id = first.attachment().program_id;
    }
    const Instance second = open();
    EXPECT_TRUE(second.attachment().adopted);
    EXPECT_EQ(second.attachment().program_id, id);
    EXPECT_EQ(must(second.read_policy()).find("web"), 1u);
    // the tc filter was replaced, not doubled
    const std::string filters = output("tc filter show dev here ingress");
    EXPECT_EQ(filters.find(" handle "), filters.rfind(" handle ")) << filters;
}

TEST_F(InstanceTest, AdoptsWhatIpLinkAttached) {
    run("ip link set dev here xdp obj " SYNWARD_BPF_OBJECT " sec xdp");
    EXPECT_FALSE(find().attachment().tc);
    Instance instance = open();
    EXPECT_TRUE(instance.attachment().adopted);
    EXPECT_TRUE(instance.attachment().tc);
    add("web", {80}, SW_MODE_COOKIE);
    apply(instance);
    EXPECT_EQ(must(instance.learn(SYNWARD_BPF_OBJECT)), 1u);
    verdict(instance, syn(space_.here(), 80));
    EXPECT_EQ(must(instance.stats()).services.at(1).packets[SW_REASON_SYN_NO_LISTENER], 1u);
}

TEST_F(InstanceTest, NeverReplacesAStranger) {
    const std::uint32_t id = attach_stranger(space_.here());
    for (const auto& refused :
         {Instance::open(space_.here(), options()).map([](auto&&) {}),
          Instance::find(space_.here()).map([](auto&&) {}), Instance::unload(space_.here())}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::busy);
        EXPECT_THAT(refused.error().message,
                    AllOf(HasSubstr("'stranger'"), HasSubstr("id " + std::to_string(id)),
                          HasSubstr("ip link set dev here")));
    }
    std::uint32_t now = 0;
    bpf_xdp_query_id(static_cast<int>(space_.here().index), 0, &now);
    EXPECT_EQ(now, id);
}

TEST_F(InstanceTest, GenericWhereItIsAskedFor) {
    LoadOptions generic = options();
    generic.generic = true;
    const Instance instance = must(Instance::open(space_.here(), generic));
    EXPECT_EQ(instance.attachment().mode, AttachMode::generic);
    EXPECT_FALSE(instance.attachment().generic_why.empty());
    EXPECT_EQ(find().attachment().mode, AttachMode::generic);
    must(Instance::unload(space_.here()));
    EXPECT_THAT(output("ip -d link show here"), Not(HasSubstr("xdp")));
}

TEST_F(InstanceTest, FallsBackToGenericAndSaysWhy) {
    // veth refuses native XDP where the peer's frames would not fit.
    run("ip link set here mtu 9000 && ip link set there mtu 9000");
    const Instance instance = open();
    EXPECT_EQ(instance.attachment().mode, AttachMode::generic);
    EXPECT_THAT(instance.attachment().generic_why, HasSubstr("driver refused"));
}

TEST_F(InstanceTest, AClsactOfOthersStays) {
    run("tc qdisc add dev here clsact");
    open();
    must(Instance::unload(space_.here()));
    EXPECT_THAT(output("tc qdisc show dev here"), HasSubstr("clsact"));
}

TEST_F(InstanceTest, OurClsactStaysWhileOthersUseIt) {
    open();
    run("tc filter add dev here egress protocol all prio 9 bpf bytecode '1,6 0 0 0,'");
    must(Instance::unload(space_.here()));
    EXPECT_THAT(output("tc filter show dev here egress"), HasSubstr("bytecode"));
}

TEST_F(InstanceTest, APolicyReadsBackAsItWasWritten) {
    add("web", {80, 443}).settings.mss = 1200;
    add("dns", {53}, SW_MODE_COOKIE).addresses = {*Address::parse("198.18.0.1"),
                                                  *Address::parse("2001:db8::1")};
    config_.limits.reply_rate = 5000;
    Instance instance = open();
    const CompiledPolicy written = compiled();
    must(instance.apply(written));
    const CompiledPolicy read = must(instance.read_policy());
    EXPECT_EQ(read.ports, written.ports);
    EXPECT_EQ(std::memcmp(read.services.data(), written.services.data(), sizeof read.services), 0);
    ASSERT_EQ(read.addresses.size(), 2u);
    EXPECT_EQ(read.addresses[0].address, *Address::parse("198.18.0.1"));
    EXPECT_EQ(read.addresses[1].service, read.find("dns"));
    EXPECT_EQ(read.config.abi, static_cast<unsigned>(SW_ABI_VERSION));
    EXPECT_EQ(std::memcmp(read.config.hash_key, written.config.hash_key, sizeof read.config.hash_key), 0);
    EXPECT_EQ(read.config.reply.interval, written.config.reply.interval);
    EXPECT_EQ(read.config.epoch_shift, written.config.epoch_shift);
    EXPECT_NE(read.config.keyring.key[0][0], 0u);
    EXPECT_NE(read.config.keyring.version, 0u);
}

TEST_F(InstanceTest, AReloadFlipsTheGenerationAndKeepsKeysAndIndices) {
    add("a", {1});
    add("b", {2}).addresses = {*Address::parse("198.18.0.1")};
    Instance instance = open();
    apply(instance);
    const sw_config first = instance.config();
    config_.services.erase(config_.services.begin());
    add("c", {3});
    for (int i = 0; i < 3; i++) apply(instance);
    const CompiledPolicy now = must(instance.read_policy());
    EXPECT_NE(now.config.generation, first.generation);
    EXPECT_EQ(std::memcmp(&now.config.keyring, &first.keyring, sizeof first.keyring), 0);
    EXPECT_EQ(std::memcmp(now.config.hash_key, first.hash_key, sizeof first.hash_key), 0);
    EXPECT_EQ(now.find("a"), 0u);
    EXPECT_EQ(now.find("b"), 2u);
    EXPECT_EQ(now.ports[1], 0);
    EXPECT_EQ(now.ports[2], SW_PORT_BY_ADDRESS);
    EXPECT_EQ(now.ports[3], now.find("c"));
    EXPECT_EQ(now.addresses.size(), 1u) << "nothing of the other generation";
}

TEST_F(InstanceTest, CountersFollowTheServiceAndNotTheIndex) {
    add("a", {1}, SW_MODE_OFF);
    Instance instance = open();
    apply(instance);
    verdict(instance, syn(space_.here(), 1), 5);
    EXPECT_EQ(must(instance.stats()).services.at(1).packets[SW_REASON_SERVICE_OFF], 5u);
    apply(instance);
    EXPECT_EQ(must(instance.stats()).services.at(1).packets[SW_REASON_SERVICE_OFF], 5u)
        << "a reload resets nothing";
    CompiledPolicy other = must(instance.read_policy());
    std::strcpy(other.services[1].name, "other");
    must(instance.apply(other));
    EXPECT_EQ(must(instance.stats()).services.at(1).name, "other");
    EXPECT_EQ(must(instance.stats()).services.at(1).packets[SW_REASON_SERVICE_OFF], 0u);
}

TEST_F(InstanceTest, AModeChangesAtOnce) {
    add("web", {80}, SW_MODE_OFF);
    Instance instance = open();
    apply(instance);
    verdict(instance, syn(space_.here(), 80));
    must(instance.set_mode("web", SW_MODE_COOKIE));
    EXPECT_EQ(must(instance.read_policy()).services[1].mode, SW_MODE_COOKIE);
    EXPECT_TRUE(must(instance.states()).at(1).armed);
    EXPECT_FALSE(must(instance.states()).at(1).trusted) << "its sockets have not been walked";
    verdict(instance, syn(space_.here(), 80));
    const Counters counted = must(instance.stats()).services.at(1).packets;
    EXPECT_EQ(counted[SW_REASON_SERVICE_OFF], 1u);
    EXPECT_EQ(counted[SW_REASON_SYN_NO_LISTENER], 1u);

    const auto unknown = instance.set_mode("wbe", SW_MODE_OFF);
    ASSERT_FALSE(unknown);
    EXPECT_THAT(unknown.error().message, AllOf(HasSubstr("'wbe'"), HasSubstr("web")));
}

TEST_F(InstanceTest, AnotherAddressOfTheInterfaceMakesTheFilterIncomplete) {
    add("web", {80}, SW_MODE_COOKIE);
    Instance instance = open();
    apply(instance);
    must(instance.learn(SYNWARD_BPF_OBJECT));
    apply(instance);
    EXPECT_TRUE(must(instance.states()).at(1).trusted);
    run("ip link set here address 02:00:00:00:00:99");
    apply(instance);
    EXPECT_FALSE(must(instance.states()).at(1).trusted) << "connections to it came unseen";
    must(instance.learn(SYNWARD_BPF_OBJECT));
    apply(instance);
    EXPECT_TRUE(must(instance.states()).at(1).trusted);
}

TEST_F(InstanceTest, KeysRotateAndNotTooSoon) {
    Instance instance = open();
    const auto none = instance.rotate_keys();
    ASSERT_FALSE(none) << "without a policy there are no keys";
    add("web", {80});
    apply(instance);
    const sw_keyring before = instance.config().keyring;
    const Rotation first = must(instance.rotate_keys());
    EXPECT_TRUE(first.rotated);
    EXPECT_GT(first.times.begins.count(), 0);
    EXPECT_GT(first.times.replaceable, first.times.begins);
    const sw_keyring after = instance.config().keyring;
    EXPECT_NE(after.active, before.active);
    EXPECT_NE(std::memcmp(after.key[after.active], before.key[after.active], 16), 0);
    EXPECT_EQ(std::memcmp(after.key[before.active], before.key[before.active], 16), 0);
    EXPECT_EQ(after.since, before.since + 4) << "first_keyring() lies two epochs back, the new key two ahead";
    const Rotation second = must(instance.rotate_keys());
    EXPECT_FALSE(second.rotated);
    EXPECT_GT(second.times.replaceable.count(), 0) << "says when it can";
    const sw_keyring later = instance.config().keyring;
    EXPECT_EQ(std::memcmp(&after, &later, sizeof after), 0);
}

TEST_F(InstanceTest, ArmingIsAnEventAndAState) {
    add("web", {80}).settings.arm_rate = 100;
    Instance instance = open();
    apply(instance);
    std::vector<Event> events;
    EventReader reader = must(EventReader::create(instance, [&](const Event& e) { events.push_back(e); }));
    EXPECT_FALSE(must(instance.states()).at(1).armed);
    verdict(instance, syn(space_.here(), 80), 10'000);
    must(reader.poll(std::chrono::seconds(5)));
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events[0].type, SW_EVENT_ARMED);
    EXPECT_EQ(events[0].service, 1u);
    EXPECT_GE(events[0].rate, 90u);
    const ServiceState state = must(instance.states()).at(1);
    EXPECT_TRUE(state.armed);
    EXPECT_EQ(state.armings, 1u);
    EXPECT_GE(state.peak_rate, 90u);
}

TEST_F(InstanceTest, KnowsWhenItWasTakenOff) {
    const Instance instance = open();
    EXPECT_TRUE(instance.alive());
    run("ip link set dev here xdp off");
    EXPECT_FALSE(instance.alive());
}

TEST_F(InstanceTest, TheStatusIsComplete) {
    add("web", {80}, SW_MODE_COOKIE);
    config_.sources.deny = {*Prefix::parse("203.0.113.0/24")};
    Instance instance = open();
    apply(instance);
    const auto status = must(status_json(instance));
    EXPECT_EQ(status["interface"], "here");
    EXPECT_EQ(status["attach_mode"], "native");
    EXPECT_EQ(status["services"][0]["name"], "web");
    EXPECT_EQ(status["sources"]["deny"], 1);
    EXPECT_GT(status["memory_bytes"].get<std::uint64_t>(), 512u * 1024);
    EXPECT_LT(status["memory_bytes"].get<std::uint64_t>(), 64u << 20);
    EXPECT_EQ(must(instance.count_flows()), 0u);
}

TEST_F(InstanceTest, AMissingObjectIsNamed) {
    const auto failed = Instance::open(space_.here(), {.object = "/nonexistent/synward.bpf.o"});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, ErrorCode::missing);
    EXPECT_THAT(failed.error().message, HasSubstr("/nonexistent/synward.bpf.o"));
    const auto junk = Instance::open(space_.here(), {.object = "/proc/self/exe"});
    ASSERT_FALSE(junk);
    EXPECT_THAT(junk.error().message, HasSubstr("/proc/self/exe"));
}

}  // namespace
}  // namespace synward
