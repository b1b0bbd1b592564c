// SPDX-License-Identifier: GPL-2.0-or-later
// synward-benchmark-lib: functions of the library, and the pure headers of the XDP program as the
// CPU runs them without BPF (a lower bound of what they cost in the driver).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "lib/config.h"
#include "lib/policy.h"
#include "packet.h"
#include "xdp/cookie.h"
#include "xdp/hash.h"
#include "xdp/options.h"

namespace synward::bench {
namespace {

std::string config_text(int64_t services, int64_t sources) {
    std::string text = "[daemon]\ninterfaces = [\"eth0\"]\n[sources]\ndeny = [";
    for (int64_t i = 0; i < sources; ++i) text += fmt::format("\"198.18.{}.{}\", ", i / 250 % 250, i % 250);
    text += "]\n";
    for (int64_t i = 0; i < services; ++i)
        text += fmt::format("[[service]]\nname = \"service{}\"\nport = [{}, {}]\nmode = \"cookie\"\n", i,
                            1000 + 2 * i, 1001 + 2 * i);
    return text;
}

Config parse_or_throw(const std::string& text) {
    auto config = parse_config(text, "benchmark");
    if (!config) throw std::runtime_error(config.error().message);
    return std::move(*config);
}

void parse_config_text(benchmark::State& state) {
    const std::string text = config_text(state.range(0), state.range(1));
    (void)parse_or_throw(text);
    for (auto _ : state) benchmark::DoNotOptimize(parse_config(text, "benchmark"));
}
BENCHMARK(parse_config_text)->Args({1, 0})->Args({200, 0})->Args({1, 10000});

void compile_config(benchmark::State& state) {
    const Config config = parse_or_throw(config_text(state.range(0), state.range(1)));
    HostFacts host;
    host.reqsk = true;
    const Interface interface { .name = "eth0", .index = 2 };
    if (auto policy = compile_policy(config, host, interface); !policy)
        throw std::runtime_error(policy.error().message);
    for (auto _ : state) benchmark::DoNotOptimize(compile_policy(config, host, interface));
}
BENCHMARK(compile_config)->Args({1, 0})->Args({200, 0})->Args({1, 10000});

// Keys and inputs that the compiler cannot know, each input depending on the last result, so
// that the time is that of one after the other.
cookie_input some_input() {
    cookie_input input{};
    input.source[0] = 0x0101a8c0;
    input.destination[0] = 0x0201a8c0;
    input.ports = 0x50001234;
    input.isn = 0x12345678;
    return input;
}

template <int Family>
void cookie(benchmark::State& state) {
    sw_keyring ring = {.key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}}, .since = 7};
    sw_epoch_key key;
    cookie_derive(&key, &ring, 7);
    benchmark::DoNotOptimize(key);
    cookie_input input = some_input();
    for (auto _ : state) {
        const __u64 hash = cookie_hash(&input, &key, Family);
        input.isn = cookie_isn(hash, 0x17, 7);
    }
    benchmark::DoNotOptimize(input);
}
BENCHMARK(cookie<SW_IPV4>)->Name("cookie/IPv4");
BENCHMARK(cookie<SW_IPV6>)->Name("cookie/IPv6");

template <int Family>
void filter_hash(benchmark::State& state) {
    __u64 key[8] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9, 1, 1, 1, 1, 1};
    benchmark::DoNotOptimize(key);
    __u64 source[2] = {0x0101a8c0, 0};
    for (auto _ : state) source[0] += hash_filter(key, source, 0x50001234, Family);
    benchmark::DoNotOptimize(source);
}
BENCHMARK(filter_hash<SW_IPV4>)->Name("filter_hash/IPv4");
BENCHMARK(filter_hash<SW_IPV6>)->Name("filter_hash/IPv6");

void parse_usual(benchmark::State& state, const std::vector<uint8_t>& list) {
    alignas(8) __u32 words[16] = {};
    memcpy(words, list.data(), list.size());
    const auto length = static_cast<__u32>(list.size());
    options found{};
    if (!options_usual(words, length, &found)) throw std::runtime_error("not one of the usual layouts");
    for (auto _ : state) {
        benchmark::DoNotOptimize(words);
        benchmark::DoNotOptimize(options_usual(words, length, &found));
        benchmark::DoNotOptimize(found);
    }
}

void parse_any(benchmark::State& state, const std::vector<uint8_t>& list) {
    for (auto _ : state) {
        options found{};
        const __u8* bytes = list.data();
        benchmark::DoNotOptimize(bytes);
        options_any(bytes, bytes + list.size(), static_cast<__u32>(list.size()), &found);
        benchmark::DoNotOptimize(found);
    }
}

void register_layouts() {
    for (const auto& layout : usual_layouts()) {
        benchmark::RegisterBenchmark(fmt::format("options_usual/{}", layout.name).c_str(), parse_usual,
                                     layout.options);
        benchmark::RegisterBenchmark(fmt::format("options_any/{}", layout.name).c_str(), parse_any,
                                     layout.options);
    }
    for (const auto& layout : odd_layouts())
        benchmark::RegisterBenchmark(fmt::format("options_any/{}", layout.name).c_str(), parse_any,
                                     layout.options);
}

}  // namespace
}  // namespace synward::bench

int main(int argc, char** argv) {
    synward::bench::register_layouts();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
