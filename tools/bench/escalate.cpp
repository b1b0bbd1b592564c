// SPDX-License-Identifier: GPL-2.0-or-later
#include "escalate.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "cpu.h"
#include "escalate_peer.h"
#include "lib/clock.h"
#include "lib/escalation/module.h"
#include "lib/escalation/queue_rule.h"
#include "lib/escalation/ring.h"
#include "output.h"

namespace synward::bench {
namespace {

constexpr uint32_t kRoom = 4096;  // packets that each way may hold

template <typename T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Only the ring has a deadline.
struct Need {
    uint32_t deadline_ms = SW_DEADLINE_MS_MAX;
};

struct Way {
    std::string name;
    bool ring = false;
    bool accepts = true;  // packets go on after their verdict
    std::function<std::unique_ptr<Transport>(const Need&)> open;
};

NfqueueOptions queue_options(const EscalateOptions& options) {
    return {.queue = static_cast<uint16_t>(options.queue), .batch = options.batch, .max_length = kRoom};
}

std::vector<Way> all_ways(const EscalateOptions& options, bool module) {
    std::vector<Way> ways;
    ways.push_back({"recv + verdict each", false, true, [&](const Need&) -> std::unique_ptr<Transport> {
                        return must(NfqueueEach::open(queue_options(options)));
                    }});
    ways.push_back({"nfqueue, batched", false, true, [&](const Need&) -> std::unique_ptr<Transport> {
                        return must(NfqueueTransport::open(queue_options(options)));
                    }});
    if (module) {
        const auto ring = [](sw_ring_mode mode, unsigned batch) {
            return [mode, batch](const Need& need) -> std::unique_ptr<Transport> {
                return must(RingTransport::open(
                    {.mode = mode, .slots = kRoom, .deadline_ms = need.deadline_ms, .batch = batch}));
            };
        };
        ways.push_back({"ring, hold", true, true, ring(SW_RING_HOLD, options.ring_batch)});
        ways.push_back({"ring, copy", true, false, ring(SW_RING_COPY, options.ring_batch)});
        ways.push_back({"ring, hold, 1 a batch", true, true, ring(SW_RING_HOLD, 1)});
    }
    if (!options.only.empty())
        std::erase_if(ways, [&](const Way& way) {
            return std::ranges::find(options.only, way.name) == options.only.end();
        });
    return ways;
}

// A CPU that is there; otherwise any.
int usable(int cpu) {
    return cpu < sysconf(_SC_NPROCESSORS_ONLN) ? cpu : -1;
}

class Bench {
  public:
    explicit Bench(const EscalateOptions& options) : options_(options), verdicts_(kRoom) {}

    EscalateReport run();

  private:
    // Opens a way, with the rule that brings packets to it, in the lab's namespace.
    std::unique_ptr<Transport> open(const Way& way, const Need& need);
    void close(std::unique_ptr<Transport> transport);
    // Decides what waits; how many that was.
    unsigned decide(Transport& transport, sw_verdict_kind kind,
                    const std::function<void(const FlowEvent&)>& each = {});
    unsigned decide_all(Transport& transport, sw_verdict_kind kind);

    void drain_round(const Way& way, EscalateResult& result);
    double path_round(Transport* transport);
    void whole_round(const Way& way, EscalateResult& result);
    HeldTime held(const Way& way);
    Overload overload(const Way& way);
    Stopped stopped(const Way& way);

    EscalateOptions options_;
    EscalateLab lab_;
    std::vector<Verdict> verdicts_;
};

std::unique_ptr<Transport> Bench::open(const Way& way, const Need& need) {
    const Netns::Inside inside(lab_.netns());
    if (way.ring)
        must(remove_queue_rule());
    else
        must(install_queue_rule(
            {static_cast<uint16_t>(options_.queue), static_cast<uint16_t>(options_.queue)}));
    return way.open(need);
}

void Bench::close(std::unique_ptr<Transport> transport) {
    transport.reset();
    const Netns::Inside inside(lab_.netns());
    must(remove_queue_rule());
}

unsigned Bench::decide(Transport& transport, sw_verdict_kind kind,
                       const std::function<void(const FlowEvent&)>& each) {
    const auto events = must(transport.receive());
    for (size_t i = 0; i < events.size(); ++i) verdicts_[i] = {.id = events[i].id, .kind = kind};
    must(transport.send({verdicts_.data(), events.size()}));
    if (each)
        for (const FlowEvent& event : events) each(event);
    return static_cast<unsigned>(events.size());
}

unsigned Bench::decide_all(Transport& transport, sw_verdict_kind kind) {
    unsigned all = 0;
    while (const unsigned count = decide(transport, kind)) all += count;
    return all;
}

void Bench::drain_round(const Way& way, EscalateResult& result) {
    auto transport = open(way, {});
    lab_.send(options_.depth);
    const uint64_t calls = transport->stats().system_calls;
    const uint64_t start = monotonic_now();
    unsigned decided = 0;
    while (decided < options_.depth) {
        const unsigned count = decide(*transport, SW_VERDICT_DROP);
        if (count == 0) break;
        decided += count;
    }
    const auto ns = static_cast<double>(monotonic_now() - start) / options_.depth;
    if (decided != options_.depth)
        throw std::runtime_error(
            fmt::format("{}: {} of {} packets were there to be read", way.name, decided, options_.depth));
    result.drain = std::min(result.drain, ns);
    result.per_call = static_cast<double>(decided) /
                      static_cast<double>(std::max<uint64_t>(1, transport->stats().system_calls - calls));
    close(std::move(transport));
}

// ns a packet from the wire to behind the hook; without a transport nobody holds them.
double Bench::path_round(Transport* transport) {
    const uint64_t before = lab_.passed();
    const unsigned bursts = std::max(1u, options_.packets / options_.batch);
    const uint64_t start = monotonic_now();
    for (unsigned i = 0; i < bursts; ++i) {
        lab_.send(options_.batch);
        if (!transport) continue;
        for (unsigned decided = 0; decided < options_.batch;) {
            const unsigned count = decide(*transport, SW_VERDICT_ACCEPT);
            if (count == 0) break;
            decided += count;
        }
    }
    const auto ns = static_cast<double>(monotonic_now() - start) / (bursts * options_.batch);
    if (const uint64_t passed = lab_.passed() - before; passed != uint64_t{bursts} * options_.batch)
        throw std::runtime_error(fmt::format("{} of {} packets went on", passed, bursts * options_.batch));
    return ns;
}

void Bench::whole_round(const Way& way, EscalateResult& result) {
    auto transport = open(way, {});
    result.whole = std::min(result.whole, path_round(transport.get()));
    close(std::move(transport));
}

HeldTime Bench::held(const Way& way) {
    auto transport = open(way, {});
    std::vector<std::atomic<uint64_t>> sent(UINT16_MAX + 1);
    const uint64_t gap = 1'000'000'000 / std::max(1u, options_.rate);
    const auto total = static_cast<unsigned>(options_.seconds * options_.rate);
    std::atomic<bool> done{false};
    std::jthread sender([&] {
        pin_to_cpu(usable(options_.sender_cpu));
        prctl(PR_SET_TIMERSLACK, 1);
        uint64_t due = monotonic_now();
        for (unsigned i = 0; i < total; ++i) {
            due += gap;
            const timespec until{static_cast<time_t>(due / 1'000'000'000),
                                 static_cast<long>(due % 1'000'000'000)};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
            sent[lab_.next_port()].store(monotonic_now(), std::memory_order_relaxed);
            lab_.send(1);
        }
        done = true;
    });
    std::vector<double> samples;
    samples.reserve(total);
    pollfd waiting{.fd = transport->fd(), .events = POLLIN, .revents = 0};
    for (bool last = false; !last;) {
        last = done;
        poll(&waiting, 1, 50);
        while (decide(*transport, SW_VERDICT_ACCEPT, [&](const FlowEvent& event) {
            samples.push_back(static_cast<double>(monotonic_now() -
                                                  sent[event.source_port].load(std::memory_order_relaxed)) /
                              1000);
        })) {
        }
    }
    sender.join();
    close(std::move(transport));
    if (samples.empty()) throw std::runtime_error(way.name + ": no packet came up");
    std::ranges::sort(samples);
    return {.p50 = samples[samples.size() / 2], .p99 = samples[samples.size() * 99 / 100]};
}

Overload Bench::overload(const Way& way) {
    auto transport = open(way, {});
    std::atomic<uint64_t> offered{0};
    std::jthread sender([&](const std::stop_token& stop) {
        pin_to_cpu(usable(options_.sender_cpu));
        while (!stop.stop_requested()) {
            lab_.send(64);
            offered.fetch_add(64, std::memory_order_relaxed);
        }
    });
    const uint64_t start = monotonic_now();
    const auto length = static_cast<uint64_t>(options_.seconds * 1e9);
    uint64_t decided = 0;
    pollfd waiting{.fd = transport->fd(), .events = POLLIN, .revents = 0};
    while (monotonic_now() - start < length) {
        const unsigned count = decide(*transport, SW_VERDICT_ACCEPT);
        decided += count;
        if (count == 0) poll(&waiting, 1, 10);
    }
    const auto seconds = static_cast<double>(monotonic_now() - start) / 1e9;
    sender.request_stop();
    sender.join();
    const uint64_t rest = decide_all(*transport, SW_VERDICT_ACCEPT);
    const auto all = static_cast<double>(std::max<uint64_t>(1, offered));
    close(std::move(transport));
    return {.offered = all / seconds,
            .decided = static_cast<double>(decided) / seconds,
            .lost = 1 - static_cast<double>(decided + rest) / all};
}

Stopped Bench::stopped(const Way& way) {
    auto transport = open(way, {.deadline_ms = 500});
    const uint64_t before = lab_.passed();
    Stopped result{.offered = 2 * kRoom};
    lab_.send(2 * kRoom);
    result.passed_at_once = lab_.passed() - before;
    std::this_thread::sleep_for(std::chrono::seconds(1));
    result.passed_in_a_second = lab_.passed() - before;
    decide_all(*transport, SW_VERDICT_ACCEPT);
    result.waiting = lab_.passed() - before - result.passed_in_a_second;
    close(std::move(transport));
    return result;
}

EscalateReport Bench::run() {
    EscalateReport report;
    {
        const Netns::Inside inside(lab_.netns());
        auto control = ModuleControl::open();
        report.module = control.has_value();
        // The default caps may be below what the measurement holds.
        if (control)
            must(control->set_policy(
                {.slots = 2 * kRoom, .bytes = 64u << 20, .deadline_ms = SW_DEADLINE_MS_MAX}));
    }
    const auto ways = all_ways(options_, report.module);
    if (ways.empty()) throw std::runtime_error("no way of that name can be measured here");
    constexpr double none = std::numeric_limits<double>::infinity();
    for (const Way& way : ways) report.results.push_back({.name = way.name, .drain = none, .whole = none});

    pin_to_cpu(usable(options_.cpu));
    report.baseline = none;
    // In turn, so that whatever disturbs the machine disturbs them all.
    for (unsigned round = 0; round < options_.rounds; ++round) {
        report.baseline = std::min(report.baseline, path_round(nullptr));
        for (size_t i = 0; i < ways.size(); ++i) {
            drain_round(ways[i], report.results[i]);
            if (ways[i].accepts) whole_round(ways[i], report.results[i]);
        }
    }
    for (size_t i = 0; i < ways.size(); ++i) {
        auto& result = report.results[i];
        result.whole = ways[i].accepts ? result.whole - report.baseline : 0;
        if (!options_.live) continue;
        progress(fmt::format("{}: held time, overload, a reader that is stopped", ways[i].name));
        result.held = held(ways[i]);
        result.overload = overload(ways[i]);
        result.stopped = stopped(ways[i]);
    }
    return report;
}

}  // namespace

EscalateReport run_escalate(const EscalateOptions& options) {
    if (options.depth > kRoom || options.batch > kRoom || options.ring_batch > kRoom)
        throw std::runtime_error(fmt::format("at most {} packets can wait at once", kRoom));
    return Bench(options).run();
}

}  // namespace synward::bench
