// SPDX-License-Identifier: GPL-2.0-or-later
#include "mirror.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <vector>

#include "lib/clock.h"
#include "lib/sets/entry_words.h"
#include "lib/sets/ipset.h"
#include "mirror_lab.h"
#include "output.h"
#include "process.h"

namespace synward::bench {
namespace {

constexpr uint32_t kFirst = 0x0a000000;   // 10.0.0.0 and up: only in the lab's own namespace
constexpr uint32_t kOthers = 0x0b000000;  // 11.0.0.0 and up: likewise
constexpr uint32_t kSingle = 0xc6120000;  // 198.18.0.0 and up
constexpr const char* kSet = "bench4";
constexpr uint64_t kPatience = 60'000'000'000;
constexpr unsigned kSamples = 1000;   // sources that are asked about when all shall be there
constexpr uint64_t kProbe = 100'000;  // ns between two probes

std::string address(uint32_t a) {
    return fmt::format("{}.{}.{}.{}", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

void sleep_ns(uint64_t ns) {
    const timespec pause{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    nanosleep(&pause, nullptr);
}

// ns until `done`, asked ten thousand times a second.
template <typename Done>
uint64_t time_until(const char* what, const Done& done) {
    const uint64_t start = monotonic_now();
    while (!done()) {
        if (monotonic_now() - start > kPatience)
            throw std::runtime_error(fmt::format("{} within {} s", what, kPatience / 1'000'000'000));
        sleep_ns(kProbe);
    }
    return monotonic_now() - start;
}

// Words of `ipset restore` for `count` entries.
std::string entry_lines(const char* verb, const char* set, uint32_t count, bool marked,
                        uint32_t first = kFirst) {
    std::string text;
    for (uint32_t n = 0; n < count; ++n)
        text += fmt::format("{} {} {}{}\n", verb, set, address(first + n), marked ? " skbmark 0xd/0xff" : "");
    return text;
}

class Bench {
  public:
    explicit Bench(const MirrorOptions& options)
        : options_(options),
          lab_({.daemon = options.daemon,
                .set = kSet,
                .sources =
                    std::max(1u << 17, std::max({options.entries, options.batch, options.among}) * 2)}) {
        prctl(PR_SET_TIMERSLACK, 1000);
    }

    MirrorReport run() {
        MirrorReport report;
        make_set(kSet);
        make_first();
        if (options_.adds != 0) latency(report.latency);
        progress("idle");
        report.idle = idle();
        if (options_.changes != 0 && options_.batch != 0) rate(report.rate);
        if (options_.entries != 0) large(report.large);
        return report;
    }

  private:
    void ipset(const std::string& input) {
        const Netns::Inside inside(lab_.netns());
        run_command({"ipset", "restore"}, input);
    }

    void make_set(const char* name) {
        ipset(
            create_command(
                name, SetKind::net, SW_IPV4,
                std::max({options_.entries, options_.batch, options_.among + options_.adds, 65536u}) + 1024) +
            "\n");
    }

    // Entries that are there already: an empty set would be a special case.
    void make_first() {
        ipset(entry_lines("add", kSet, options_.among, true, kOthers));
        time_until("the driver does not deny the first entries",
                   [&] { return lab_.denied(kOthers + options_.among - 1); });
    }

    // Some of the first `count` entries, at random, and the last: all of them are denied, or none.
    bool all(uint32_t count, bool denied) {
        if (lab_.denied(kFirst + count - 1) != denied) return false;
        for (unsigned n = 0; n < kSamples; ++n)
            if (lab_.denied(kFirst + static_cast<uint32_t>(random_() % count)) != denied) return false;
        return true;
    }

    void latency(MirrorReport::Latency& result) {
        progress(fmt::format("latency of {} additions", options_.adds));
        const Netns::Inside inside(lab_.netns());
        auto ipset = Ipset::create();
        if (!ipset) throw std::runtime_error(ipset.error().message);
        std::vector<double> samples;
        for (uint32_t n = 0; n < options_.adds; ++n) {
            const uint32_t source = kSingle + n;
            if (lab_.denied(source)) throw std::runtime_error("a source is denied before it is in the set");
            sleep_ns(random_() % 100'000'000);  // at any moment between two polls
            const auto added = ipset->run(fmt::format("add {} {} skbmark 0xd/0xff", kSet, address(source)));
            if (!added) throw std::runtime_error(added.error().message);
            samples.push_back(static_cast<double>(time_until("the driver does not deny what was added",
                                                             [&] { return lab_.denied(source); })) /
                              1e6);
        }
        std::ranges::sort(samples);
        result = {.least = samples.front(),
                  .p50 = samples[samples.size() / 2],
                  .p99 = samples[samples.size() * 99 / 100],
                  .most = samples.back()};
    }

    double idle() {
        if (options_.idle <= 0) return 0;
        sleep_ns(500'000'000);  // what was under way comes to its end
        const uint64_t before = lab_.cpu_time(), start = monotonic_now();
        sleep_ns(static_cast<uint64_t>(options_.idle * 1e9));
        return static_cast<double>(lab_.cpu_time() - before) / static_cast<double>(monotonic_now() - start);
    }

    void rate(MirrorReport::Rate& result) {
        const unsigned batches = std::max(1u, options_.changes / options_.batch) | 1;  // ends with additions
        progress(fmt::format("{} changes by ipset restore", batches * options_.batch));
        const auto text = [&](const char* set) {
            const std::string add = entry_lines("add", set, options_.batch, true),
                              del = entry_lines("del", set, options_.batch, false);
            std::string lines;
            for (unsigned n = 0; n < batches; ++n) lines += n % 2 == 0 ? add : del;
            return lines;
        };
        const auto timed = [&](const std::string& lines) {
            const uint64_t start = monotonic_now();
            ipset(lines);
            return static_cast<double>(monotonic_now() - start) / 1e9;
        };
        const double count = static_cast<double>(batches) * options_.batch;
        make_set("other4");
        result.alone = count / timed(text("other4"));
        const std::string lines = text(kSet);
        const uint64_t cpu = lab_.cpu_time(), start = monotonic_now();
        result.seconds = timed(lines);
        result.per_second = count / result.seconds;
        result.lag = static_cast<double>(time_until("the driver does not have what ipset restored",
                                                    [&] { return all(options_.batch, true); })) /
                     1e6;
        result.cpu =
            static_cast<double>(lab_.cpu_time() - cpu) / static_cast<double>(monotonic_now() - start);
        ipset(fmt::format("flush {}\ndestroy other4\n", kSet));
        time_until("the driver denies what was flushed", [&] { return all(options_.batch, false); });
    }

    void large(MirrorReport::Large& result) {
        progress(fmt::format("a set of {} entries", options_.entries));
        const uint64_t before = lab_.resident();
        make_set("large4");
        ipset(entry_lines("add", "large4", options_.entries, true));
        if (lab_.denied(kFirst)) throw std::runtime_error("a set acts that is not bound");
        ipset(fmt::format("swap {} large4\n", kSet));
        result.seconds = static_cast<double>(time_until("the driver does not have the large set",
                                                        [&] { return all(options_.entries, true); })) /
                         1e9;
        result.idle = idle();
        result.resident = lab_.resident();
        result.grown = result.resident > before ? result.resident - before : 0;
        result.maps = lab_.map_memory();
    }

    MirrorOptions options_;
    MirrorLab lab_;
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace

MirrorReport run_mirror(const MirrorOptions& options) {
    return Bench(options).run();
}

}  // namespace synward::bench
