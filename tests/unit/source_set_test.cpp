// SPDX-License-Identifier: GPL-2.0-or-later
// The source sets in the maps.
#include <bpf/bpf.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "fixture.h"
#include "lib/abi/maps.h"
#include "lib/maps.h"
#include "xdp/hash.h"

namespace synward {
namespace {

class SourceSetTest : public InstanceTest {
  protected:
    static std::vector<Prefix> prefixes(std::initializer_list<const char*> texts) {
        std::vector<Prefix> list;
        for (const char* text : texts) list.push_back(*Prefix::parse(text));
        return list;
    }
    static std::vector<std::string> fates(const CompiledPolicy& policy) {
        std::vector<std::string> list;
        for (const SourceEntry& e : policy.sources)
            list.push_back((e.fate == SW_FATE_DENY ? "-" : "+") + e.prefix.to_string());
        std::sort(list.begin(), list.end());
        return list;
    }
    // The program's verdict on SYNs to port 80 from that source, `times` of them.
    static std::uint32_t verdict(const Instance& instance, const Address& source, int times = 1) {
        const bool v4 = source.family == SW_IPV4;
        const std::size_t ip = 14, tcp = ip + (v4 ? 20 : 40);
        std::vector<std::uint8_t> frame(tcp + 20);
        std::copy(instance.interface().mac.begin(), instance.interface().mac.end(), frame.begin());
        frame[12] = v4 ? 0x08 : 0x86;
        frame[13] = v4 ? 0x00 : 0xdd;
        frame[ip] = v4 ? 0x45 : 0x60;
        frame[ip + (v4 ? 3 : 5)] = v4 ? 40 : 20;
        frame[ip + (v4 ? 9 : 6)] = 6;
        frame[ip + (v4 ? 8 : 7)] = 64;
        std::copy_n(source.bytes.begin(), source.bits() / 8,
                    frame.begin() + static_cast<long>(ip + (v4 ? 12 : 8)));
        frame[tcp - 1] = 1;  // of the destination
        frame[tcp + 3] = 80;
        frame[tcp + 12] = 0x50;
        frame[tcp + 13] = 0x02;
        std::uint8_t out[2048];
        xdp_md context{.data_end = static_cast<std::uint32_t>(frame.size()),
                       .ingress_ifindex = instance.interface().index};
        bpf_test_run_opts run{.sz = sizeof(bpf_test_run_opts)};
        run.data_in = frame.data();
        run.data_size_in = static_cast<std::uint32_t>(frame.size());
        run.data_out = out;
        run.data_size_out = sizeof out;
        run.ctx_in = &context;
        run.ctx_size_in = sizeof context;
        run.repeat = times;
        EXPECT_EQ(bpf_prog_test_run_opts(instance.program_fd(), &run), 0);
        return run.retval;
    }

    static __u64 hash(const sw_config& config, const Prefix& source) {
        __u64 words[2] = {};
        std::memcpy(words, source.address.bytes.data(), source.length / 8);
        return hash_exact(config.hash_key, words, source.address.family);
    }
    Prefix random_source() {
        Prefix source{.length = random_() % 2 ? 128u : 32u};
        source.address.family = source.length == 32 ? SW_IPV4 : SW_IPV6;
        for (unsigned i = 0; i < source.length / 8; i++)
            source.address.bytes[i] = static_cast<std::uint8_t>(random_());
        return source;
    }
    // Sources of one set of sw_exact, more than it has ways.
    std::vector<Prefix> crowd(const Instance& instance) {
        const sw_config config = instance.config();
        std::vector<Prefix> found{random_source()};
        const auto index = [&](const Prefix& p) { return hash(config, p) >> (64 - config.source_shift); };
        while (found.size() < SW_SOURCE_WAYS + 4) {
            const Prefix next = random_source();
            if (index(next) == index(found[0])) found.push_back(next);
        }
        return found;
    }
    // How many sets say that they overflowed, and how many entries there are.
    static std::pair<unsigned, unsigned> table(const Instance& instance) {
        const std::size_t sets = std::size_t{1} << instance.config().source_shift;
        const auto mapped =
            must(MappedArray<sw_source_set>::create(instance.map_fd("sw_exact"), sets, "sw_exact"));
        unsigned overflowed = 0, entries = 0;
        for (std::size_t i = 0; i < sets; i++) {
            overflowed += (mapped.data()[i].entry[0] & SW_SOURCE_OVERFLOW) != 0;
            for (const __u64 entry : mapped.data()[i].entry) entries += (entry & SW_SOURCE_FATE) != 0;
        }
        return {overflowed, entries};
    }
    std::mt19937_64 random_{1};
    sw_gate gate(const Instance& instance) {
        return must(MappedArray<sw_memory>::create(instance.map_fd("sw_memory"), 1, "sw_memory"))
            .data()
            ->gate;
    }
};

TEST_F(SourceSetTest, AreReadBackAndReplacedAsAWhole) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1", "203.0.113.0/24", "2001:db8::/32"});
    config_.sources.allow = prefixes({"2001:db8::1", "198.18.0.0/15"});
    Instance instance = open();
    apply(instance);
    EXPECT_THAT(fates(must(instance.read_policy())),
                testing::ElementsAre("+198.18.0.0/15", "+2001:db8::1", "-192.0.2.1", "-2001:db8::/32",
                                     "-203.0.113.0/24"));
    EXPECT_EQ(instance.config().fate_sets,
              static_cast<unsigned>(SW_SET_EXACT4 | SW_SET_EXACT6 | SW_SET_PREFIX4 | SW_SET_PREFIX6));

    config_.sources.deny = prefixes({"198.18.0.0/15"});
    config_.sources.allow = prefixes({"192.0.2.1"});
    apply(instance);
    const CompiledPolicy now = must(instance.read_policy());
    EXPECT_THAT(fates(now), testing::ElementsAre("+192.0.2.1", "-198.18.0.0/15"));
    EXPECT_EQ(now.config.fate_sets, static_cast<unsigned>(SW_SET_EXACT4 | SW_SET_PREFIX4));
    const sw_gate wanted = build_gate(now.sources, now.config.hash_key);
    const sw_gate found = gate(instance);
    EXPECT_EQ(std::memcmp(&found, &wanted, sizeof wanted), 0) << "the gate has no bits of what is gone";

    config_.sources = {};
    apply(instance);
    EXPECT_TRUE(must(instance.read_policy()).sources.empty());
    EXPECT_EQ(instance.config().fate_sets, 0u);
}

TEST_F(SourceSetTest, WhatFindsNoRoomInItsSetIsDeniedAllTheSame) {
    add("web", {80});
    Instance instance = open();
    apply(instance);
    EXPECT_EQ(1u << instance.config().source_shift, SW_SOURCES / SW_SOURCE_WAYS);
    const auto sources = crowd(instance);
    config_.sources.deny = sources;
    apply(instance);
    EXPECT_EQ(table(instance), std::pair(1u, static_cast<unsigned>(SW_SOURCE_WAYS)));
    for (const Prefix& p : sources) EXPECT_EQ(verdict(instance, p.address), XDP_DROP) << p.to_string();
    EXPECT_EQ(verdict(instance, random_source().address), XDP_PASS);
    EXPECT_EQ(must(instance.read_policy()).sources.size(), sources.size());

    // Half go, from the ways and from the overflow: the rest fits.
    for (std::size_t i = 0; i < sources.size(); i += 2) std::erase(config_.sources.deny, sources[i]);
    apply(instance);
    EXPECT_EQ(table(instance), std::pair(0u, static_cast<unsigned>(sources.size() / 2)));
    for (std::size_t i = 0; i < sources.size(); i++)
        EXPECT_EQ(verdict(instance, sources[i].address), i % 2 ? XDP_DROP : XDP_PASS)
            << sources[i].to_string();

    config_.sources = {};
    apply(instance);
    EXPECT_EQ(table(instance), std::pair(0u, 0u));
}

// One who wrote before us may have died between two stores.
TEST_F(SourceSetTest, WhatTheTableLacksTheNextPolicyAdds) {
    add("web", {80});
    Instance instance = open();
    apply(instance);
    config_.sources.deny = crowd(instance);
    apply(instance);
    {
        const auto mapped = must(MappedArray<sw_source_set>::create(instance.map_fd("sw_exact"),
                                                                    SW_SOURCES / SW_SOURCE_WAYS, "sw_exact"));
        std::memset(mapped.data(), 0, sizeof(sw_source_set) * (SW_SOURCES / SW_SOURCE_WAYS));
    }
    EXPECT_EQ(verdict(instance, config_.sources.deny[0].address), XDP_PASS);
    apply(instance);
    for (const Prefix& p : config_.sources.deny)
        EXPECT_EQ(verdict(instance, p.address), XDP_DROP) << p.to_string();
}

TEST_F(SourceSetTest, NoPacketOfAListedSourcePassesWhileTheListIsReplaced) {
    add("web", {80});
    Instance instance = open();
    apply(instance);
    std::vector<Prefix> always;
    const auto crowded = crowd(instance);
    for (int i = 0; i < 100; i++) always.push_back(random_source());
    // Those of the crowded set that stay are once among its ways and once in the overflow.
    always.insert(always.end(), crowded.begin() + 6, crowded.end());
    config_.sources.deny = always;
    apply(instance);

    std::atomic<bool> done = false;
    std::atomic<std::uint64_t> sent = 0;
    std::atomic<std::uint64_t> passed = 0;
    std::thread packets([&] {
        for (std::size_t i = 0; !done; i++) {
            passed += verdict(instance, always[i % always.size()].address) != XDP_DROP;
            sent++;
        }
    });
    for (int turn = 0; turn < 40; turn++) {
        config_.sources.deny.clear();
        if (turn % 2 == 0) config_.sources.deny.assign(crowded.begin(), crowded.begin() + 6);
        for (int i = 0; i < 50; i++) config_.sources.deny.push_back(random_source());
        config_.sources.deny.insert(config_.sources.deny.end(), always.begin(), always.end());
        apply(instance);
    }
    done = true;
    packets.join();
    EXPECT_EQ(passed, 0u) << "of " << sent;
    EXPECT_GT(sent, 1000u);
}

TEST_F(SourceSetTest, ASetThatIsTooLargeLeavesTheOldPolicy) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1"});
    Instance instance = open();
    apply(instance);
    config_.services[0].ports = {8080};
    for (std::uint32_t i = 0; i <= SW_SOURCES; i++) {
        Prefix p{.length = 32};
        p.address.bytes = {198, static_cast<std::uint8_t>(18 + (i >> 16)), static_cast<std::uint8_t>(i >> 8),
                           static_cast<std::uint8_t>(i)};
        config_.sources.deny.push_back(p);
    }
    const CompiledPolicy previous = must(instance.read_policy());
    const auto refused = instance.apply(compiled(&previous));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::config);
    EXPECT_THAT(refused.error().message, testing::HasSubstr("room for 131072 entries"));
    const CompiledPolicy now = must(instance.read_policy());
    EXPECT_THAT(fates(now), testing::ElementsAre("-192.0.2.1"));
    EXPECT_NE(now.ports[80], 0);
    EXPECT_EQ(now.ports[8080], 0);
}

}  // namespace
}  // namespace synward
