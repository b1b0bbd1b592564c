// SPDX-License-Identifier: GPL-2.0-or-later
#include "flood.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <stdexcept>

#include "cpu.h"
#include "link.h"

namespace synward::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kBatch = 64;         // frames per NAPI-like batch of the kernel
constexpr uint32_t kFirst = 64 * 1024;  // runs in the first system call
constexpr double kCall = 0.2;           // seconds of a system call: its set-up costs milliseconds
constexpr uint64_t kLargest = 1 << 24;  // runs per system call
constexpr double kPace = 0.005;         // seconds between bursts

constexpr struct {
    FloodKind kind;
    std::string_view name;
} kKinds[] = {
    {FloodKind::kSyn, "syn"},       {FloodKind::kAck, "ack"},        {FloodKind::kRst, "rst"},
    {FloodKind::kSynAck, "synack"}, {FloodKind::kOddSyn, "odd-syn"}, {FloodKind::kFragment, "fragment"},
};

uint8_t flags_of(FloodKind kind) {
    switch (kind) {
        case FloodKind::kAck:
            return kAck;
        case FloodKind::kRst:
            return kRst;
        case FloodKind::kSynAck:
            return kSyn | kAck;
        default:
            return kSyn;
    }
}

std::vector<std::vector<uint8_t>> option_lists(FloodKind kind) {
    std::vector<std::vector<uint8_t>> lists;
    if (kind == FloodKind::kOddSyn)
        for (const auto& layout : odd_layouts()) lists.push_back(layout.options);
    else if (kind == FloodKind::kSyn || kind == FloodKind::kSynAck || kind == FloodKind::kFragment)
        lists.push_back(usual_layouts().front().options);
    else if (kind == FloodKind::kAck)
        lists.push_back(timestamp_options(0x1a2b3c4d, 0x12345678));
    else
        lists.emplace_back();
    return lists;
}

bench_flood make_setup(const FloodOptions& options, const Mac& from_mac) {
    bench_flood setup{};
    Segment segment{.to = options.to_mac, .from = from_mac, .destination = options.to};
    segment.source.family = options.to.family;
    segment.destination_port = options.port;
    segment.flags = flags_of(options.kind);
    segment.fragment = options.kind == FloodKind::kFragment;
    const auto lists = option_lists(options.kind);
    for (size_t i = 0; i < lists.size(); ++i) {
        segment.options = lists[i];
        setup.templates[i] = make_template(segment);
    }
    setup.template_mask = static_cast<uint32_t>(lists.size() - 1);
    setup.version = options.to.family == SW_IPV4 ? 4 : 6;
    setup.vary = BENCH_VARY_SOURCE | BENCH_VARY_PORT | BENCH_VARY_SEQ;
    if (segment.flags & kAck) setup.vary |= BENCH_VARY_ACK;
    setup.checksum_offset = segment.fragment ? 0 : 1;
    std::array<uint8_t, 16> mask{};
    for (unsigned bit = options.source.length; bit < options.to.bits(); ++bit)
        mask[bit / 8] |= static_cast<uint8_t>(0x80u >> (bit % 8));
    memcpy(setup.source, options.source.address.bytes.data(), 16);
    memcpy(setup.source_mask, mask.data(), 16);
    return setup;
}

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

FloodKind parse_flood_kind(std::string_view name) {
    for (const auto& entry : kKinds)
        if (entry.name == name) return entry.kind;
    throw std::runtime_error(fmt::format("'{}' is no kind of flood", name));
}

std::string_view to_string(FloodKind kind) {
    for (const auto& entry : kKinds)
        if (entry.kind == kind) return entry.name;
    return "?";
}

Flood::Flood(const FloodOptions& options) : options_(options), object_(BpfObject::embedded(Helper::kFlood)) {
    if (options.source.address.family != options.to.family)
        throw std::runtime_error(
            fmt::format("sources {} and destination {} are of different address families",
                        options.source.to_string(), options.to.to_string()));
    const Link link = read_link(options.interface);
    bench_flood setup = make_setup(options, link.mac);
    setup.interface = link.index;
    if (options.even && options.rate != 0) setup.gap = 1'000'000'000 / options.rate;
    frame_.assign(setup.templates[0].frame, setup.templates[0].frame + setup.templates[0].length);
    object_.store("bench_flood", 0, setup);
    std::random_device random;
    object_.fill_per_cpu<bench_progress>("bench_progress", 0, [&](int) {
        return bench_progress{.seed = uint64_t{random()} << 32 | random() | 1};
    });
}

void Flood::send(uint32_t runs) {
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame_.data(),
                .data_size_in = static_cast<uint32_t>(frame_.size()), .repeat = static_cast<int>(runs),
                .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = std::min(runs, kBatch));
    if (const int error = bpf_prog_test_run_opts(object_.program("bench_flood_xdp"), &run);
        error != 0 && error != -EINTR)
        throw std::runtime_error(fmt::format(
            "cannot send frames by BPF_PROG_TEST_RUN (Linux 5.18 and later, as root): {}", strerror(-error)));
}

uint64_t Flood::made() const {
    uint64_t sum = 0;
    for (const auto& each : object_.per_cpu<bench_progress>("bench_progress", 0)) sum += each.made;
    return sum;
}

FloodReport Flood::run(std::stop_token stop) {
    pin_to_cpu(options_.cpu);
    const double limit = std::min(options_.seconds, kFloodSeconds);
    const bool bursts = options_.rate != 0 && !options_.even;
    const Link before = read_link(options_.interface);
    const uint64_t made_before = made();
    FloodReport report;
    uint64_t runs = 0;  // of the program; with even spacing most of them make no frame
    const auto start = Clock::now();
    while (!stop.stop_requested() && (report.seconds = seconds_since(start)) < limit) {
        uint64_t next = kFirst;
        if (bursts) {
            // what is due now; a late wake-up is made up for, but never by more than a tenth of a second
            const auto due =
                static_cast<uint64_t>((report.seconds + kPace) * static_cast<double>(options_.rate));
            next = due > report.sent ? std::min(due - report.sent, options_.rate / 10 + 1) : 0;
        } else if (runs != 0) {
            const double wanted = std::min(limit - report.seconds, kCall);
            next = std::max<uint64_t>(
                kBatch, static_cast<uint64_t>(wanted * static_cast<double>(runs) / report.seconds));
        }
        if (options_.count != 0) next = std::min(next, options_.count - report.sent);
        next = std::min<uint64_t>(next, kLargest);
        if (next != 0) send(static_cast<uint32_t>(next));
        runs += next;
        report.sent = made() - made_before;
        if (options_.count != 0 && report.sent >= options_.count) break;
        if (bursts) {
            const timespec pause{0, static_cast<long>(kPace * 1e9)};
            nanosleep(&pause, nullptr);
        }
    }
    report.seconds = seconds_since(start);
    const Link after = read_link(options_.interface);
    report.delivered = after.tx_packets - before.tx_packets;
    return report;
}

}  // namespace synward::bench
