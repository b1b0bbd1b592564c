// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <sys/utsname.h>

#include <memory>

#include "command.h"
#include "mirror.h"
#include "output.h"

namespace synward::bench {
namespace {

struct Arguments {
    MirrorOptions mirror;
    Output output;
};

std::string text_of(const MirrorOptions& options, const MirrorReport& report) {
    std::string text;
    if (options.adds != 0)
        text += fmt::format(
            "ipset add to drop at the driver, {} times among {} entries: p50 {:.1f} ms, p99 {:.1f} ms (least "
            "{:.1f}, most {:.1f})\n",
            options.adds, options.among, report.latency.p50, report.latency.p99, report.latency.least,
            report.latency.most);
    if (options.changes != 0)
        text += fmt::format(
            "ipset restore into a mirrored set: {} changes/s for {:.1f} s ({} where it is not mirrored); "
            "the driver has all {:.0f} ms later; synwardd took {:.0f} % of a core\n",
            count_text(report.rate.per_second), report.rate.seconds, count_text(report.rate.alone),
            report.rate.lag, report.rate.cpu * 100);
    if (options.entries != 0)
        text += fmt::format(
            "a set of {} entries swapped in: at the driver after {:.2f} s; synwardd {:.0f} MiB resident "
            "({:.0f} MiB more), maps {:.0f} MiB\n",
            options.entries, report.large.seconds, static_cast<double>(report.large.resident) / (1 << 20),
            static_cast<double>(report.large.grown) / (1 << 20),
            static_cast<double>(report.large.maps) / (1 << 20));
    if (options.idle > 0) {
        text += fmt::format("synwardd while nothing changes: {:.2f} % of a core", report.idle * 100);
        if (options.entries != 0)
            text += fmt::format(", with the large set {:.2f} %", report.large.idle * 100);
        text += "\n";
    }
    return text;
}

void run(Arguments& arguments) {
    const auto& options = arguments.mirror;
    const MirrorReport report = run_mirror(options);
    utsname system{};
    uname(&system);
    arguments.output.print(
        fmt::format("Linux {}; the attached program is asked ten thousand times a second\n\n{}",
                    system.release, text_of(options, report)));
    nlohmann::ordered_json json = {{"kernel", system.release}};
    if (options.adds != 0)
        json["latency_ms"] = {{"adds", options.adds},          {"among", options.among},
                              {"least", report.latency.least}, {"p50", report.latency.p50},
                              {"p99", report.latency.p99},     {"most", report.latency.most}};
    if (options.changes != 0)
        json["rate"] = {{"changes_per_second", report.rate.per_second},
                        {"unmirrored_per_second", report.rate.alone},
                        {"seconds", report.rate.seconds},
                        {"lag_ms", report.rate.lag},
                        {"daemon_cpu", report.rate.cpu}};
    if (options.entries != 0)
        json["large"] = {{"entries", options.entries},
                         {"seconds", report.large.seconds},
                         {"resident_bytes", report.large.resident},
                         {"grown_bytes", report.large.grown},
                         {"map_bytes", report.large.maps},
                         {"idle_cpu", report.large.idle}};
    json["idle_cpu"] = report.idle;
    arguments.output.write(json);
}

}  // namespace

void add_mirror(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& options = arguments->mirror;
    CLI::App* command = app.add_subcommand(
        "mirror", "How fast what the ipset command does reaches the driver hook, and what it costs synwardd");
    command->add_option("--adds", options.adds, "additions whose latency is measured; 0: none")
        ->check(CLI::Range(0, 60000))
        ->capture_default_str();
    command->add_option("--among", options.among, "entries that the set has then")
        ->check(CLI::Range(1, 4'000'000))
        ->capture_default_str();
    command->add_option("--changes", options.changes, "changes by ipset restore; 0: none")
        ->check(CLI::Range(0, 100'000'000))
        ->capture_default_str();
    command->add_option("--batch", options.batch, "entries that are added and removed in turn meanwhile")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command->add_option("--entries", options.entries, "entries of the large set; 0: none")
        ->check(CLI::Range(0, 4'000'000))
        ->capture_default_str();
    command->add_option("--idle", options.idle, "seconds for which the idle daemon is watched; 0: none")
        ->check(CLI::Range(0.0, 600.0))
        ->capture_default_str();
    command->add_option("--daemon", options.daemon, "synwardd [searched beside this program]");
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
