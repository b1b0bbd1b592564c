// SPDX-License-Identifier: GPL-2.0-or-later
#include "runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <random>
#include <stdexcept>

namespace synward::bench {
namespace {

// CPU time of this thread: others on the machine slow a round down but are not counted.
double now_ns() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

}  // namespace

Runner::Runner(const RunnerOptions& options)
    : options_(options), object_(BpfObject::embedded(Helper::kWrapper)) {
    std::random_device random;
    object_.fill_per_cpu<bench_progress>("bench_progress", 0, [&](int) {
        return bench_progress{.seed = uint64_t{random()} << 32 | random() | 1};
    });
}

void Runner::aim(int program) const {
    object_.store("bench_target", 0, program);
}

void Runner::prepare(const Stream& stream) const {
    bench_wrapper setup{};
    setup.from = make_template(stream.segment);
    setup.vary = stream.random_ack ? BENCH_VARY_ACK : 0;
    setup.echo = stream.echo;
    setup.fence = options_.fence;
    setup.entry_random = stream.any_entry;
    std::array<uint8_t, 16> mask{};
    for (unsigned bit = stream.source.length; bit < stream.segment.destination.bits(); ++bit)
        mask[bit / 8] |= static_cast<uint8_t>(0x80u >> (bit % 8));
    memcpy(setup.source, stream.source.address.bytes.data(), 16);
    memcpy(setup.source_mask, mask.data(), 16);
    if (!stream.entries.empty()) {
        auto count = static_cast<uint32_t>(stream.entries.size());
        if (count > BENCH_ENTRIES || (count & (count - 1)) != 0)
            throw std::runtime_error(
                fmt::format("{} prepared packets are no power of two up to {}", count, BENCH_ENTRIES));
        setup.entry_mask = count - 1;
        std::vector<uint32_t> keys(count);
        for (uint32_t i = 0; i < count; ++i) keys[i] = i;
        if (bpf_map_update_batch(object_.map("bench_entries"), keys.data(), stream.entries.data(), &count,
                                 nullptr) != 0)
            throw std::runtime_error(fmt::format("cannot write map bench_entries: {}", strerror(errno)));
    }
    object_.store("bench_wrapper", 0, setup);
}

double Runner::round(int wrapper, const std::vector<uint8_t>& frame, unsigned packets, int* action) const {
    xdp_md context{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = options_.interface;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = static_cast<int>(packets));
    if (options_.interface != 0) {
        run.ctx_in = &context;
        run.ctx_size_in = sizeof(context);
    }
    const double start = now_ns();
    const int error = bpf_prog_test_run_opts(wrapper, &run);
    const double end = now_ns();
    if (error != 0)
        throw std::runtime_error(
            fmt::format("cannot run a program by BPF_PROG_TEST_RUN: {}", strerror(-error)));
    if (action != nullptr) *action = static_cast<int>(run.retval);
    return (end - start) / packets;
}

// What the wrapper pays to restore the frame after a program that changed more than bytes: the
// empty program that does the same pays it once too.
double Runner::restoring(int wrapper, const std::vector<uint8_t>& frame, const char* empty,
                         double plain) const {
    aim(object_.program(empty));
    double least = 1e9;
    for (unsigned i = 0; i < options_.rounds; ++i)
        least = std::min(least, round(wrapper, frame, options_.packets));
    return std::max(0.0, (least - plain) / 2);
}

Cost Runner::measure(int program, const Stream& stream, const std::function<void()>& before_round) {
    prepare(stream);
    const bool v4 = stream.segment.destination.family == SW_IPV4;
    const bool prepared = !stream.entries.empty();
    const int wrapper =
        object_.program(fmt::format("bench_{}{}", prepared ? "prepared" : "random", v4 ? 4 : 6));
    // packets that count only once are not repeated within a round
    const auto packets =
        prepared && !stream.any_entry
            ? std::min<unsigned>(options_.packets, static_cast<unsigned>(stream.entries.size()))
            : options_.packets;
    const auto frame = compose(stream.segment);
    Cost cost;
    double full = 1e9, empty = 1e9;
    for (unsigned i = 0; i < options_.rounds; ++i) {
        aim(object_.program("bench_empty"));
        empty = std::min(empty, round(wrapper, frame, packets));
        if (before_round) before_round();
        aim(program);
        full = std::min(full, round(wrapper, frame, packets, &cost.action));
    }
    cost.wrapper = empty;
    // ask one frame of the stream what the program does to frames
    if (before_round) before_round();
    aim(program);
    const Outcome outcome = run_once(wrapper, frame);
    if (outcome.frame.size() != frame.size())
        cost.wrapper += restoring(wrapper, frame, "bench_empty_tail", empty);
    if (outcome.metadata) cost.wrapper += restoring(wrapper, frame, "bench_empty_meta", empty);
    cost.ns = full - cost.wrapper;
    return cost;
}

Outcome Runner::run_once(int program, const std::vector<uint8_t>& frame) const {
    Outcome outcome;
    outcome.frame.resize(frame.size() + 256);
    xdp_md context{}, after{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = options_.interface;
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_out = outcome.frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()),
                .data_size_out = static_cast<uint32_t>(outcome.frame.size()), .ctx_in = &context,
                .ctx_out = &after, .ctx_size_in = sizeof(context), .ctx_size_out = sizeof(after),
                .repeat = 1);
    if (const int error = bpf_prog_test_run_opts(program, &run); error != 0)
        throw std::runtime_error(
            fmt::format("cannot run a program by BPF_PROG_TEST_RUN: {}", strerror(-error)));
    outcome.action = static_cast<int>(run.retval);
    outcome.metadata = after.data != 0;
    const uint32_t begin = after.data;  // metadata comes first
    outcome.frame.resize(run.data_size_out);
    if (begin != 0 && begin <= outcome.frame.size())
        outcome.frame.erase(outcome.frame.begin(), outcome.frame.begin() + begin);
    return outcome;
}

}  // namespace synward::bench
