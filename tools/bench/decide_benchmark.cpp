// SPDX-License-Identifier: GPL-2.0-or-later
// What deciding costs: one event through the whole chain, log included.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>

#include "lib/decide/chain.h"

namespace synward::bench {
namespace {

constexpr std::uint64_t second = 1'000'000'000;
constexpr std::uint64_t spacing = 5'000;  // ns between events: 200,000 a second

// Cheap, and the same numbers each time.
std::uint64_t random_bits(std::uint64_t& state) {
    std::uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    return z ^ (z >> 31);
}

struct Subject {
    DecideConfig config;
    KeySource keys{1};
    DecideShared shared{config, keys};
    Chain chain{config, shared, keys};
    std::uint64_t now = second;
    std::uint64_t state = 1;
    FlowEvent event;
    Decision decision;

    Subject() {
        CompiledPolicy policy;
        policy.ports[443] = 1;
        (void)shared.services.load(policy);
        // A busy server: 50,000 connections, 20,000 sources that connected lately.
        shared.flows.begin();
        for (std::uint32_t i = 0; i < 50'000; i++)
            shared.flows.add({{0x0a000000 + i}, {1}, static_cast<std::uint16_t>(i), 443, SW_IPV4});
        shared.flows.finish(now);
        for (std::uint32_t i = 0; i < 20'000; i++) shared.proven.add({0x0a000000 + i * 7919}, SW_IPV4, now);
        event.id = 1;
        event.destination_port = 443;
    }

    void source() {
        const std::uint64_t bits = random_bits(state);
        event.source[0] = static_cast<std::uint32_t>(bits);
        if (event.family == SW_IPV6)
            event.source[1] = event.source[2] = static_cast<std::uint32_t>(bits >> 16);
        event.source_port = static_cast<std::uint16_t>(bits >> 48);
    }
    void decide() {
        now += spacing;
        chain.decide(event, now, decision);
        benchmark::DoNotOptimize(decision.verdict);
    }
    // The filter ages by the clock of the events, which runs faster than ours.
    void keep_trusted() { shared.flows.finish(now); }
};

void decide_random(benchmark::State& state, EventKind kind, sw_family family, bool random_shapes) {
    const auto subject = std::make_unique<Subject>();
    Subject& s = *subject;
    s.event.kind = kind;
    s.event.family = family;
    s.event.shape.layout = 0x2010101;
    auto step = [&] {
        s.source();
        if (random_shapes) s.event.shape.layout = s.state;
        s.keep_trusted();
        s.decide();
    };
    for (std::int64_t i = 0; i < state.range(0); i++) step();
    for (auto _ : state) step();
    state.counters["memory"] = static_cast<double>(s.chain.memory_bytes() + s.shared.memory_bytes());
}

// Every kind in turn, each event from another source.
void decide_mix(benchmark::State& state) {
    const auto subject = std::make_unique<Subject>();
    Subject& s = *subject;
    unsigned turn = 0;
    auto step = [&] {
        s.source();
        s.event.kind = static_cast<EventKind>(turn++ % 6);
        s.keep_trusted();
        s.decide();
    };
    for (std::int64_t i = 0; i < state.range(0); i++) step();
    for (auto _ : state) step();
    state.counters["memory"] = static_cast<double>(s.chain.memory_bytes() + s.shared.memory_bytes());
}
BENCHMARK(decide_mix)->Name("decide/mix/sources_before")->Arg(0)->Arg(10'000'000);

void decide_proven(benchmark::State& state) {
    const auto subject = std::make_unique<Subject>();
    Subject& s = *subject;
    s.event.kind = EventKind::stray;
    std::uint32_t turn = 0;
    for (auto _ : state) {
        s.event.source[0] = 0x0a000000 + turn++ % 20'000 * 7919;
        s.shared.proven.add(s.event.source, SW_IPV4, s.now);
        s.decide();
    }
}
BENCHMARK(decide_proven)->Name("decide/stray/proven_and_the_proof");

// What of it is the benchmark's own: the source and the clock.
void decide_nothing(benchmark::State& state) {
    const auto subject = std::make_unique<Subject>();
    for (auto _ : state) {
        subject->source();
        subject->keep_trusted();
        benchmark::DoNotOptimize(subject->event);
    }
}
BENCHMARK(decide_nothing)->Name("decide/harness");

#define DECIDE(name, ...) BENCHMARK_CAPTURE(decide_random, name, __VA_ARGS__)->Arg(0)->Arg(10'000'000)
DECIDE(stray_ipv4, EventKind::stray, SW_IPV4, false);
DECIDE(stray_ipv6, EventKind::stray, SW_IPV6, false);
DECIDE(syn_one_shape, EventKind::syn, SW_IPV4, false);
DECIDE(syn_random_shapes, EventKind::syn, SW_IPV4, true);
DECIDE(fragment, EventKind::fragment, SW_IPV4, false);
DECIDE(malformed_ipv6, EventKind::malformed, SW_IPV6, false);
DECIDE(handshake, EventKind::handshake, SW_IPV4, false);
#undef DECIDE

}  // namespace
}  // namespace synward::bench
