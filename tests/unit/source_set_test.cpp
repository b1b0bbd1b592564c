// SPDX-License-Identifier: GPL-2.0-or-later
// The source sets in the maps.
#include <bpf/bpf.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "fixture.h"
#include "lib/abi/maps.h"
#include "lib/maps.h"
#include "lib/source_table.h"
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

    Prefix random_source() {
        Prefix source{.length = random_() % 2 ? 128u : 32u};
        source.address.family = source.length == 32 ? SW_IPV4 : SW_IPV6;
        for (unsigned i = 0; i < source.length / 8; i++)
            source.address.bytes[i] = static_cast<std::uint8_t>(random_());
        return source;
    }
    Prefix random_prefix() {
        Prefix p = random_source();
        p.length = p.length == 32 ? 8 + random_() % 24 : 16 + random_() % 112;
        for (unsigned bit = p.length; bit < p.address.bits(); bit++)
            p.address.bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80 >> bit % 8));
        return p;
    }
    using Model = std::map<std::pair<std::uint32_t, Prefix>, sw_fate>;  // by port, 0: every port
    static std::vector<SourceEntry> sorted(const Model& model) {
        std::vector<SourceEntry> list;
        for (const auto& [place, fate] : model) list.push_back({place.second, fate, place.first});
        return list;
    }
    static std::vector<SourceEntry> hosts(std::size_t count, std::uint32_t salt = 0) {
        std::vector<SourceEntry> list;
        for (std::uint32_t i = 0; i < count; i++) {
            Prefix p{.length = 32};
            const std::uint32_t address = (0x0b000000u + salt + 7 * i);
            for (unsigned b = 0; b < 4; b++)
                p.address.bytes[b] = static_cast<std::uint8_t>(address >> (24 - 8 * b));
            list.push_back({p, SW_FATE_DENY});
        }
        return list;
    }
    static std::string seen(const Instance& instance, const char* address) {
        const auto found = must(instance.find_source(*Address::parse(address)));
        if (!found) return "none";
        return (found->fate == SW_FATE_DENY    ? "-"
                : found->fate == SW_FATE_ALLOW ? "+"
                                               : "0") +
               found->prefix.to_string();
    }
    // Longest prefix of the entries for this port, by the model.
    static sw_fate due(const Model& model, const Address& a, std::uint32_t port) {
        std::optional<unsigned> best;
        sw_fate fate = SW_FATE_NONE;
        for (const auto& [place, one] : model)
            if (place.first == port && place.second.contains(a) && (!best || place.second.length > *best)) {
                best = place.second.length;
                fate = one;
            }
        return fate;
    }
    static std::uint32_t entries(const Instance& instance, const char* map) {
        std::uint32_t count = 0;
        unsigned char key[24], next[24];
        for (const void* from = nullptr; bpf_map_get_next_key(instance.map_fd(map), from, next) == 0;
             from = key) {
            std::memcpy(key, next, sizeof key);
            count++;
        }
        return count;
    }
    Instance opened(std::uint32_t sources) {
        LoadOptions wanted = options();
        wanted.sources = sources;
        return must(Instance::open(space_.here(), wanted));
    }
    std::mt19937_64 random_{1};
};

TEST_F(SourceSetTest, AreReplacedAsAWhole) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1", "203.0.113.0/24", "2001:db8::/32"});
    config_.sources.allow = prefixes({"2001:db8::1", "198.18.0.0/15"});
    Instance instance = open();
    apply(instance);
    EXPECT_EQ(seen(instance, "192.0.2.1"), "-192.0.2.1");
    EXPECT_EQ(seen(instance, "192.0.2.2"), "none");
    EXPECT_EQ(seen(instance, "203.0.113.9"), "-203.0.113.0/24");
    EXPECT_EQ(seen(instance, "198.19.1.1"), "+198.18.0.0/15");
    EXPECT_EQ(seen(instance, "2001:db8::1"), "+2001:db8::1");
    EXPECT_EQ(seen(instance, "2001:db8::2"), "-2001:db8::/32");
    EXPECT_EQ(instance.config().sources & SW_SET_ANY, unsigned{SW_SET_ANY & ~(SW_SET_PORT4 | SW_SET_PORT6)});
    EXPECT_THAT(instance.count_sources(), testing::ElementsAre(0, 3, 2, 0));

    config_.sources.deny = prefixes({"198.18.0.0/15"});
    config_.sources.allow = prefixes({"192.0.2.1"});
    apply(instance);
    EXPECT_EQ(seen(instance, "192.0.2.1"), "+192.0.2.1");
    EXPECT_EQ(seen(instance, "198.19.1.1"), "-198.18.0.0/15");
    EXPECT_EQ(seen(instance, "203.0.113.9"), "none");
    EXPECT_EQ(seen(instance, "2001:db8::1"), "none");
    EXPECT_EQ(instance.config().sources & SW_SET_ANY, static_cast<unsigned>(SW_SET_EXACT4 | SW_SET_PREFIX4));
    EXPECT_EQ(entries(instance, "sw_prefix4"), 1u) << "nothing of the other generation stays";
    EXPECT_EQ(entries(instance, "sw_prefix6"), 0u);

    config_.sources = {};
    apply(instance);
    EXPECT_EQ(instance.config().sources & SW_SET_ANY, 0u);
    EXPECT_EQ(entries(instance, "sw_prefix4"), 0u);
    EXPECT_THAT(instance.count_sources(), testing::ElementsAre(0, 0, 0, 0));
}

TEST_F(SourceSetTest, APolicyLeavesThemAlone) {
    add("web", {80});
    Instance instance = open();
    apply(instance);
    SourceMaps sources = must(instance.sources());
    must(sources.replace(hosts(10)));
    const CompiledPolicy previous = must(instance.read_policy());
    must(instance.apply(compiled(&previous)));
    EXPECT_EQ(verdict(instance, hosts(1)[0].prefix.address), XDP_DROP);
    EXPECT_EQ(sources.entries().size(), 10u);
}

TEST_F(SourceSetTest, NeedAPolicyFirst) {
    const Instance instance = open();
    const auto refused = must(instance.sources()).replace(hosts(1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::missing);
}

// Updates and replacements at random, of both kinds and families, against what they should come to.
TEST_F(SourceSetTest, EqualAModelAfterEveryWrite) {
    // Never armed: only the sets decide.
    add("web", {80}).settings.arm_rate = 1'000'000'000;
    Instance instance = opened(SW_SOURCES_LEAST);
    apply(instance);
    SourceMaps sources = must(instance.sources());
    Model model;
    std::vector<Prefix> known;
    for (int turn = 0; turn < 300; turn++) {
        if (random_() % 12 == 0) model.clear();
        for (unsigned i = random_() % (turn % 10 ? 8 : 300); i; i--) {
            const Prefix p = known.empty() || random_() % 2
                                 ? (random_() % 2 ? random_source() : random_prefix())
                                 : known[random_() % known.size()];
            known.push_back(p);
            // The service is at port 80.
            const std::pair place{random_() % 2 ? 0 : 80 + random_() % 2, p};
            if (random_() % 3)
                model[place] = static_cast<sw_fate>(1 + random_() % 3);
            else
                model.erase(place);
        }
        must(random_() % 5 ? sources.update(sorted(model)) : sources.replace(sorted(model)));
        ASSERT_EQ(sources.entries().size(), model.size());
        for (int i = 0; i < 40; i++) {
            const Address a =
                random_() % 8 ? known[random_() % known.size()].address : random_source().address;
            const auto found = must(instance.find_source(a));
            sw_fate wanted = due(model, a, 0);
            ASSERT_EQ(found ? found->fate : SW_FATE_NONE, wanted) << a.to_string() << ", turn " << turn;
            const std::uint16_t ports[] = {80};
            const auto at_port = must(instance.find_source_ports(a, ports));
            const sw_fate special = due(model, a, 80);
            ASSERT_EQ(at_port.empty() ? SW_FATE_NONE : at_port[0].fate, special) << a.to_string();
            if (special) wanted = special;
            const std::uint32_t got = verdict(instance, a);
            ASSERT_EQ(got == XDP_DROP, wanted == SW_FATE_DENY) << a.to_string() << ", turn " << turn;
        }
    }
    std::size_t in_maps = entries(instance, "sw_prefix4") + entries(instance, "sw_prefix6"), listed = 0;
    for (const auto& [place, fate] : model) listed += !place.second.is_host();
    EXPECT_EQ(in_maps, listed);
}

// Only what lies in a prefix is written, and only that changes: with and without entries by port.
TEST_F(SourceSetTest, WithinAPrefixTheyEqualAModel) {
    add("web", {80}).settings.arm_rate = 1'000'000'000;
    Instance instance = opened(SW_SOURCES_LEAST);
    apply(instance);
    SourceMaps sources = must(instance.sources());
    Model model;
    std::vector<Prefix> known;
    for (unsigned i = 0; i < 60; i++) {
        known.push_back(i % 2 ? random_source() : random_prefix());
        model[{0, known.back()}] = static_cast<sw_fate>(1 + random_() % 3);
    }
    must(sources.replace(sorted(model)));
    for (int turn = 0; turn < 400; turn++) {
        const bool by_port = turn >= 200;
        const Prefix& at = known[random_() % known.size()];
        const Prefix within = Prefix::around(at.address, at.length - random_() % std::min(at.length, 9u));
        std::erase_if(model, [&](const auto& entry) {
            const Prefix& p = entry.first.second;
            return within.length <= p.length && within.contains(p.address) && random_() % 2;
        });
        for (unsigned i = random_() % 20; i; i--) {
            Prefix p = random_source();
            if (p.address.family != within.address.family) continue;
            for (unsigned bit = 0; bit < within.length; bit++) {
                const auto mask = static_cast<std::uint8_t>(0x80 >> bit % 8);
                p.address.bytes[bit / 8] &= static_cast<std::uint8_t>(~mask);
                p.address.bytes[bit / 8] |= within.address.bytes[bit / 8] & mask;
            }
            if (random_() % 2)
                p = Prefix::around(p.address, within.length + random_() % (p.length - within.length + 1));
            model[{by_port ? random_() % 2 * 80 : 0, p}] = static_cast<sw_fate>(1 + random_() % 3);
            known.push_back(p);
        }
        std::vector<SourceEntry> wanted = sorted(model);
        std::erase_if(wanted, [&](const SourceEntry& entry) {
            return entry.prefix.length < within.length || !within.contains(entry.prefix.address);
        });
        must(sources.update(within, wanted));
        ASSERT_TRUE(std::ranges::equal(
            sources.entries(), sorted(model),
            [](const auto& a, const auto& b) { return a.place() == b.place() && a.fate == b.fate; }))
            << within.to_string() << ", turn " << turn;
        for (int i = 0; i < 40; i++) {
            const Address a = known[random_() % known.size()].address;
            sw_fate due_here = due(model, a, 80);
            if (due_here == SW_FATE_NONE) due_here = due(model, a, 0);
            ASSERT_EQ(verdict(instance, a) == XDP_DROP, due_here == SW_FATE_DENY)
                << a.to_string() << ", turn " << turn;
        }
    }
    std::size_t listed = 0;
    for (const auto& [place, fate] : model) listed += !place.second.is_host();
    EXPECT_EQ(entries(instance, "sw_prefix4") + entries(instance, "sw_prefix6"), listed);
}

TEST_F(SourceSetTest, WithinAPrefixNothingChangesWhereItDoesNotFit) {
    add("web", {80}).settings.arm_rate = 1'000'000'000;
    Instance instance = opened(SW_SOURCES_LEAST);
    apply(instance);
    SourceMaps sources = must(instance.sources());
    must(sources.replace(hosts(10)));
    const auto done = sources.update(*Prefix::parse("11.0.0.0/8"), hosts(sources.capacity() + 1));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::config);
    EXPECT_EQ(sources.entries().size(), 10u);
    EXPECT_TRUE(sources.in_force());
    must(sources.update(*Prefix::parse("11.0.0.0/8"), {}));
    EXPECT_EQ(sources.entries().size(), 0u);
    EXPECT_EQ(verdict(instance, hosts(1)[0].prefix.address), std::uint32_t{XDP_PASS});
}

// Two processes: each notices that the other was there.
TEST_F(SourceSetTest, AnotherWriterIsNoticed) {
    add("web", {80});
    Instance instance = open();
    apply(instance);
    SourceMaps one = must(instance.sources()), two = must(instance.sources());
    const SourceEntry prefix{*Prefix::parse("203.0.113.0/24"), SW_FATE_DENY};
    EXPECT_FALSE(one.in_force());
    must(one.replace({prefix}));
    EXPECT_TRUE(one.in_force());
    must(two.replace(hosts(5)));
    EXPECT_FALSE(one.in_force());
    EXPECT_TRUE(two.in_force());
    EXPECT_EQ(entries(instance, "sw_prefix4"), 0u) << "what another left goes";
    must(one.update({prefix}));
    EXPECT_TRUE(one.in_force());
    EXPECT_FALSE(two.in_force());
    EXPECT_EQ(seen(instance, "203.0.113.1"), "-203.0.113.0/24");
    EXPECT_EQ(must(instance.find_source(hosts(1)[0].prefix.address)), std::nullopt);
    must(two.update(hosts(6)));
    EXPECT_EQ(seen(instance, "203.0.113.1"), "none");
    EXPECT_EQ(verdict(instance, hosts(6)[5].prefix.address), XDP_DROP);
}

// Packets see the old list or the new one: a source that is in both, by whatever entry, never passes.
TEST_F(SourceSetTest, NoPacketOfAListedSourcePassesWhileTheListChanges) {
    add("web", {80});
    Instance instance = opened(SW_SOURCES_LEAST);
    apply(instance);
    Model always;
    std::vector<Address> asked;
    for (int i = 0; i < 100; i++) {
        const Prefix p = random_source();
        always[{0, p}] = SW_FATE_DENY;
        asked.push_back(p.address);
    }
    // One that is denied by itself in one list and by its prefix in the other.
    const Prefix host = *Prefix::parse("198.18.7.7"), around = *Prefix::parse("198.18.0.0/15");
    const Prefix host6 = *Prefix::parse("2001:db8::7"), around6 = *Prefix::parse("2001:db8::/32");
    // And one that is denied in an allowed prefix or, with it, in a denied one.
    const Prefix part = *Prefix::parse("203.0.113.0/25"), whole = *Prefix::parse("203.0.113.0/24");
    const Prefix web = *Prefix::parse("192.0.2.80");
    asked.insert(asked.end(), {host.address, host6.address, part.address, web.address});
    SourceMaps sources = must(instance.sources());
    const auto list = [&](int turn) {
        Model now = always;
        now[{0, turn % 2 ? host : around}] = SW_FATE_DENY;
        now[{0, turn % 2 ? host6 : around6}] = SW_FATE_DENY;
        now[{0, whole}] = turn % 2 ? SW_FATE_ALLOW : SW_FATE_DENY;
        if (turn % 2) now[{0, part}] = SW_FATE_DENY;
        // By its port as long as every port would be allowed.
        now[{0, web}] = turn % 2 ? SW_FATE_ALLOW : SW_FATE_DENY;
        if (turn % 2) now[{80, web}] = SW_FATE_DENY;
        for (int i = 0; i < 200; i++) now[{0, i % 2 ? random_source() : random_prefix()}] = SW_FATE_DENY;
        return sorted(now);
    };
    must(sources.replace(list(0)));

    std::atomic<bool> done = false;
    std::atomic<std::uint64_t> sent = 0;
    std::atomic<std::uint64_t> passed = 0;
    std::thread packets([&] {
        for (std::size_t i = 0; !done; i++) {
            passed += verdict(instance, asked[i % asked.size()], 16) != XDP_DROP;
            sent++;
        }
    });
    for (int turn = 1; turn < 60 || sent < 2000; turn++)
        must(turn % 3 ? sources.replace(list(turn)) : sources.update(list(turn)));
    done = true;
    packets.join();
    EXPECT_EQ(passed, 0u) << "of " << sent;
}

TEST_F(SourceSetTest, ASetThatIsTooLargeLeavesTheOldOnes) {
    add("web", {80});
    config_.sources.deny = prefixes({"192.0.2.1"});
    Instance instance = opened(SW_SOURCES_LEAST);
    EXPECT_EQ(instance.source_capacity(), static_cast<unsigned>(SW_SOURCES_LEAST));
    apply(instance);
    config_.services[0].ports = {8080};
    for (const SourceEntry& e : hosts(SW_SOURCES_LEAST)) config_.sources.deny.push_back(e.prefix);
    const CompiledPolicy previous = must(instance.read_policy());
    const CompiledPolicy wanted = compiled(&previous);
    for (const auto& refused : {instance.apply(wanted), must(instance.sources()).replace(wanted.sources),
                                must(instance.sources()).update(wanted.sources)}) {
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::config);
        EXPECT_THAT(refused.error().message, testing::HasSubstr("which have room for 4096;"));
        EXPECT_THAT(refused.error().message, testing::HasSubstr("limits.sources"));
    }
    EXPECT_NE(must(instance.read_policy()).ports[80], 0);
    EXPECT_EQ(seen(instance, "192.0.2.1"), "-192.0.2.1");
    EXPECT_EQ(must(instance.find_source(hosts(1)[0].prefix.address)), std::nullopt);
    // Exactly what fits, fits.
    must(must(instance.sources()).replace(hosts(SW_SOURCES_LEAST)));
    EXPECT_EQ(verdict(instance, hosts(SW_SOURCES_LEAST).back().prefix.address), XDP_DROP);
    // Prefixes have room of their own.
    std::vector<SourceEntry> both = hosts(SW_SOURCES_LEAST);
    for (unsigned i = 0; i < 2 * SW_SOURCES_LEAST; i++)
        both.push_back(
            {{{SW_IPV4, {12, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}}, 24},
             SW_FATE_DENY});
    must(must(instance.sources()).replace(both));
    EXPECT_EQ(verdict(instance, Address{.bytes = {12, 31, 255, 200}}), XDP_DROP);
}

TEST_F(SourceSetTest, SourcesThatCrowdGetMoreRoom) {
    add("web", {80});
    Instance instance = opened(131072);
    apply(instance);
    // One more than have room in the eight sets that are the first and the second of each.
    constexpr unsigned shift = SW_GATE_BITS - 6;
    constexpr std::uint32_t crowded = 8;
    const auto memory = must(MappedArray<sw_memory>::create(instance.map_fd("sw_memory"), 1, "sw_memory"));
    const auto& key = memory.data()->config.hash_key;
    std::vector<SourceEntry> list;
    for (std::uint32_t i = 1; list.size() <= std::size_t{crowded} * SW_SOURCE_WAYS; i++) {
        const Address address{.bytes = {10, static_cast<std::uint8_t>(i >> 16),
                                        static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
        ASSERT_LT(i >> 24, 1u) << "too few of them crowd";
        __u64 words[2] = {};
        std::memcpy(words, address.bytes.data(), 4);
        const __u64 hash = hash_exact(key, words, 0, SW_IPV4);
        const std::uint32_t first = sw_source_index(hash, shift);
        if (first < crowded && sw_source_other(first, hash, shift) < crowded)
            list.push_back({{address, 32}, SW_FATE_DENY});
    }
    ASSERT_EQ(sw_set_exact_shift(SourceGate::shift_for(list.size(), 15 + 6), 15), shift);
    must(must(instance.sources()).replace(list));
    EXPECT_GT(sw_set_exact_shift(sw_set_gate_shift(instance.config().sources), 15), shift);
    for (const SourceEntry& entry : list) EXPECT_EQ(verdict(instance, entry.prefix.address), XDP_DROP);
}

TEST_F(SourceSetTest, AMillionOfEachKindFits) {
    constexpr std::size_t million = 1'000'000;
    add("web", {80});
    Instance instance = opened(million);
    EXPECT_GE(instance.source_capacity(), million);
    EXPECT_LT(must(instance.memory()), 64u << 20) << "prefixes take memory as they come";
    apply(instance);
    SourceMaps sources = must(instance.sources());
    std::vector<SourceEntry> wanted = hosts(million);
    // Of the CPU: others may be at work.
    auto lap = [start = std::clock()]() mutable {
        const std::clock_t now = std::clock();
        return 1e3 * static_cast<double>(now - std::exchange(start, now)) / CLOCKS_PER_SEC;
    };
    must(sources.replace(wanted));
    const double exact = lap();
    wanted[500'000].fate = SW_FATE_ALLOW;
    wanted.erase(wanted.begin() + 10);
    lap();
    must(sources.update(wanted));
    const double change = lap();
    const Prefix one = wanted[500'001].prefix;
    must(sources.update(one, {}));
    const double within = lap();
    EXPECT_EQ(must(instance.find_source(one.address)), std::nullopt);
    must(sources.update(one, {{one, SW_FATE_DENY}}));
    EXPECT_EQ(must(instance.find_source(one.address))->fate, SW_FATE_DENY);
    EXPECT_EQ(must(instance.find_source(wanted[499'999].prefix.address))->fate, SW_FATE_ALLOW);
    EXPECT_EQ(must(instance.find_source(hosts(11)[10].prefix.address)), std::nullopt);
    EXPECT_EQ(verdict(instance, wanted.back().prefix.address), XDP_DROP);
    EXPECT_EQ(verdict(instance, *Address::parse("203.0.113.1")), XDP_PASS);
    const double memory = static_cast<double>(must(instance.memory())) / (1 << 20);

    wanted.clear();
    for (std::uint32_t i = 0; i < million; i++) {
        Prefix p{.length = 24};
        p.address.bytes = {static_cast<std::uint8_t>(11 + (i >> 16)), static_cast<std::uint8_t>(i >> 8),
                           static_cast<std::uint8_t>(i)};
        wanted.push_back({p, SW_FATE_DENY});
    }
    lap();
    must(sources.replace(wanted));
    const double prefixes = lap();
    EXPECT_EQ(must(instance.find_source(hosts(million).back().prefix.address))->prefix.length, 24u);
    EXPECT_EQ(verdict(instance, Address{.bytes = {11, 0, 9, 200}}), XDP_DROP);
    EXPECT_EQ(verdict(instance, Address{.bytes = {10, 255, 255, 255}}), XDP_PASS);
    lap();
    must(sources.replace({}));
    std::printf(
        "a million: %.0f ms for addresses, %.2f ms for a change of two, %.2f ms for one whose place is "
        "known, "
        "%.0f ms for prefixes, %.0f ms to empty; maps %.0f MiB without prefixes\n",
        exact, change, within, prefixes, lap(), memory);
    EXPECT_EQ(entries(instance, "sw_prefix4"), 0u);
}

}  // namespace
}  // namespace synward
