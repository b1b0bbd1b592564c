// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <sys/utsname.h>

#include <memory>

#include "command.h"
#include "escalate.h"
#include "output.h"

namespace synward::bench {
namespace {

struct Arguments {
    EscalateOptions escalate;
    bool no_live = false;
    Output output;
};

std::string times(double first, double value) {
    return value > 0 && first > 0 ? fmt::format("{:.2f} x", first / value) : "-";
}

std::string cost_table(const EscalateReport& report) {
    const auto& first = report.results.front();
    Table table({"", "drain ns", "cheaper", "whole path ns", "cheaper", "packets/call"});
    for (const auto& result : report.results)
        table.add({result.name, fmt::format("{:.0f}", result.drain), times(first.drain, result.drain),
                   result.whole > 0 ? fmt::format("{:.0f}", result.whole) : "-",
                   times(first.whole, result.whole), fmt::format("{:.1f}", result.per_call)});
    return table.text();
}

std::string live_table(const EscalateReport& report) {
    Table table({"", "held p50 us", "p99 us", "offered/s", "decided/s", "lost", "stopped: at once", "in 1 s",
                 "waiting"});
    for (const auto& result : report.results) {
        if (!result.held || !result.overload || !result.stopped) continue;
        table.add({result.name, fmt::format("{:.0f}", result.held->p50),
                   fmt::format("{:.0f}", result.held->p99), count_text(result.overload->offered),
                   count_text(result.overload->decided), fmt::format("{:.1f} %", result.overload->lost * 100),
                   fmt::format("{}", result.stopped->passed_at_once),
                   fmt::format("{}", result.stopped->passed_in_a_second),
                   fmt::format("{}", result.stopped->waiting)});
    }
    return table.text();
}

nlohmann::ordered_json to_json(const EscalateReport& report) {
    const auto& first = report.results.front();
    auto results = nlohmann::ordered_json::array();
    for (const auto& result : report.results) {
        nlohmann::ordered_json one = {{"name", result.name},
                                      {"drain_ns", result.drain},
                                      {"drain_times", first.drain / result.drain},
                                      {"packets_per_call", result.per_call}};
        if (result.whole > 0) {
            one["whole_ns"] = result.whole;
            one["whole_times"] = first.whole / result.whole;
        }
        if (result.held) one["held_us"] = {{"p50", result.held->p50}, {"p99", result.held->p99}};
        if (result.overload)
            one["overload"] = {{"offered_per_second", result.overload->offered},
                               {"decided_per_second", result.overload->decided},
                               {"lost", result.overload->lost}};
        if (result.stopped)
            one["stopped"] = {{"offered", result.stopped->offered},
                              {"passed_at_once", result.stopped->passed_at_once},
                              {"passed_in_a_second", result.stopped->passed_in_a_second},
                              {"waiting", result.stopped->waiting}};
        results.push_back(std::move(one));
    }
    return results;
}

void run(Arguments& arguments) {
    auto& options = arguments.escalate;
    options.live = !arguments.no_live;
    const EscalateReport report = run_escalate(options);
    utsname system{};
    uname(&system);
    std::string text = fmt::format(
        "Linux {}, {} packets waiting, batches of {} (of the ring {}), least of {} rounds; without a reader "
        "a packet takes "
        "{:.0f} ns\n\n{}",
        system.release, options.depth, options.batch, options.ring_batch, options.rounds, report.baseline,
        cost_table(report));
    if (options.live)
        text += fmt::format("\nheld at {} packets/s; {} packets to a reader that is stopped\n\n{}",
                            options.rate, report.results.front().stopped->offered, live_table(report));
    if (!report.module) text += "\nThe kernel module is not loaded: no ring is measured.\n";
    arguments.output.print(text);
    arguments.output.write({{"kernel", system.release},
                            {"module", report.module},
                            {"depth", options.depth},
                            {"batch", options.batch},
                            {"ring_batch", options.ring_batch},
                            {"rounds", options.rounds},
                            {"baseline_ns", report.baseline},
                            {"results", to_json(report)}});
}

}  // namespace

void add_escalate(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& options = arguments->escalate;
    CLI::App* command = app.add_subcommand(
        "escalate",
        "What it costs to bring packets to a daemon and verdicts back: nfnetlink_queue and the ring");
    command->add_option("--depth", options.depth, "packets that wait when draining begins")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    command->add_option("--rounds", options.rounds, "rounds; the least counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command->add_option("--packets", options.packets, "packets of a round of the whole path")
        ->check(CLI::Range(64, 1 << 24))
        ->capture_default_str();
    command
        ->add_option("--batch", options.batch,
                     "packets of a batch of nfqueue, and sent at once along the whole path")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command->add_option("--ring-batch", options.ring_batch, "packets of a batch of the ring")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    command
        ->add_option("--seconds", options.seconds, "length of the measurements of held time and of overload")
        ->check(CLI::Range(0.05, 60.0))
        ->capture_default_str();
    command->add_option("--rate", options.rate, "packets per second while held time is measured")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    command->add_option("--cpu", options.cpu, "CPU that reads; -1: any")->capture_default_str();
    command->add_option("--sender-cpu", options.sender_cpu, "CPU that sends meanwhile; -1: any")
        ->capture_default_str();
    command->add_option("--only", options.only, "only the ways of these names");
    command->add_flag("--no-live", arguments->no_live,
                      "costs only: no held time, no overload, no stopped reader");
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
