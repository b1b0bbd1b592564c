// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <sys/utsname.h>

#include <memory>

#include "command.h"
#include "lib/escalation/module.h"
#include "output.h"
#include "ruleset.h"

namespace synward::bench {
namespace {

struct Arguments {
    RulesetOptions ruleset;
    Output output;
};

constexpr std::array kColumns{"new", "established", "denied"};  // by Traffic

std::string cost_text(double ns) {
    return ns > 0 ? fmt::format("{:.0f}", ns) : "-";
}

std::string rate_text(double ns) {
    return ns > 0 ? count_text(1e9 / ns) : "-";
}

std::string times_text(double times) {
    return times > 0 ? fmt::format("{:.1f} x", times) : "-";
}

std::string cost_table(const std::vector<RulesetResult>& results) {
    Table table({"", "entries", "new ns", "packets/s", "established ns", "packets/s", "denied ns",
                 "packets/s", "TCP Mb/s"});
    for (const auto& result : results) {
        std::vector<std::string> row{result.ruleset.kind, result.ruleset.entries != 0
                                                              ? fmt::format("{}", result.ruleset.entries)
                                                              : "-"};
        for (const auto& cost : result.cost) {
            row.push_back(cost_text(cost.least));
            row.push_back(rate_text(cost.least));
        }
        row.push_back(result.bulk > 0 ? fmt::format("{:.0f}", result.bulk) : "-");
        table.add(std::move(row));
    }
    return table.text();
}

std::string summary_text(const RulesetSummary& summary) {
    std::string text;
    if (!summary.times.empty()) {
        Table table({"throughput of", "against", "new", "established", "denied", "TCP"});
        for (const auto& times : summary.times)
            table.add({times.one, times.rules, times_text(times.cost[0]), times_text(times.cost[1]),
                       times_text(times.cost[2]), times_text(times.bulk)});
        text += "\n" + table.text();
    }
    if (!summary.flat.empty()) {
        Table table({"dearest size against the smallest", "entries", "new", "established", "denied"});
        for (const auto& flat : summary.flat) {
            std::vector<std::string> row{flat.one, fmt::format("{} to {}", flat.from, flat.to)};
            for (const double worst : flat.worst) row.push_back(fmt::format("{:+.1f} %", (worst - 1) * 100));
            table.add(std::move(row));
        }
        text += "\n" + table.text();
    }
    return text;
}

nlohmann::ordered_json to_json(const std::vector<RulesetResult>& results) {
    auto all = nlohmann::ordered_json::array();
    for (const auto& result : results) {
        nlohmann::ordered_json one = {{"kind", result.ruleset.kind}, {"entries", result.ruleset.entries}};
        for (size_t i = 0; i < kColumns.size(); ++i)
            if (result.cost[i].least > 0)
                one[kColumns[i]] = {{"ns", result.cost[i].least},
                                    {"median_ns", result.cost[i].median},
                                    {"packets_per_second", 1e9 / result.cost[i].least}};
        if (result.bulk > 0) one["tcp_mbit"] = result.bulk;
        all.push_back(std::move(one));
    }
    return all;
}

nlohmann::ordered_json to_json(const RulesetSummary& summary) {
    auto times = nlohmann::ordered_json::array(), flat = nlohmann::ordered_json::array();
    for (const auto& each : summary.times) {
        nlohmann::ordered_json one = {{"one", each.one}, {"rules", each.rules}};
        for (size_t i = 0; i < kColumns.size(); ++i) one[kColumns[i]] = each.cost[i];
        if (each.bulk > 0) one["tcp"] = each.bulk;
        times.push_back(std::move(one));
    }
    for (const auto& each : summary.flat) {
        nlohmann::ordered_json one = {{"one", each.one}, {"from", each.from}, {"to", each.to}};
        for (size_t i = 0; i < kColumns.size(); ++i) one[kColumns[i]] = each.worst[i];
        flat.push_back(std::move(one));
    }
    return {{"times", std::move(times)}, {"flat", std::move(flat)}};
}

void run(Arguments& arguments) {
    auto& options = arguments.ruleset;
    options.choice.module = ModuleControl::open().has_value();
    std::ranges::sort(options.choice.linear);
    std::ranges::sort(options.choice.sets);
    const auto results = run_ruleset(options);
    const RulesetSummary summary = summarise(results);
    utsname system{};
    uname(&system);
    std::string text = fmt::format(
        "Linux {}, one core, CPU time of a UDP datagram from the driver to behind all hooks of netfilter,\n"
        "least of {} rounds; sets {}; new: of a connection nobody denies, denied: of a source that is, the\n"
        "last one of the rules; TCP: one connection in packets of 1,500 bytes, most of {} rounds\n\n{}",
        system.release, options.rounds, options.choice.set_type, options.bulk_rounds, cost_table(results));
    text += summary_text(summary);
    if (!options.choice.module)
        text +=
            "\nThe kernel module is not loaded: the mark is written by a rule of the table mangle only.\n";
    arguments.output.print(text);
    arguments.output.write({{"kernel", system.release},
                            {"module", options.choice.module},
                            {"set_type", options.choice.set_type},
                            {"rounds", options.rounds},
                            {"results", to_json(results)},
                            {"summary", to_json(summary)}});
}

}  // namespace

void add_ruleset(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& options = arguments->ruleset;
    CLI::App* command = app.add_subcommand(
        "ruleset",
        "What a firewall costs a packet: linear rules of nft and iptables, sets, and the one rule");
    command->add_option("--rules", options.choice.linear, "numbers of linear rules")
        ->delimiter(',')
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    command->add_option("--entries", options.choice.sets, "numbers of entries of the sets")
        ->delimiter(',')
        ->check(CLI::Range(1, 10000000))
        ->capture_default_str();
    command
        ->add_option("--type", options.choice.set_type,
                     "type (hash:net or hash:ip) and options of the ipsets, but skbinfo")
        ->capture_default_str();
    command->add_option("--only", options.choice.only,
                        "only rulesets of these kinds, as in the first column");
    command->add_option("--rounds", options.rounds, "rounds; the least counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command->add_option("--sample", options.lab.sample, "milliseconds of CPU time of each measurement")
        ->check(CLI::Range(0.1, 1000.0))
        ->capture_default_str();
    command->add_option("--tcp-rounds", options.bulk_rounds, "rounds of TCP; the most counts; 0: none")
        ->check(CLI::Range(0, 1000))
        ->capture_default_str();
    command->add_option("--tcp-seconds", options.bulk_seconds, "length of a round of TCP")
        ->check(CLI::Range(0.01, 60.0))
        ->capture_default_str();
    command->add_option("--cpu", options.lab.cpu, "CPU of the host that is measured")->capture_default_str();
    command->add_option("--sender-cpu", options.lab.sender_cpu, "CPU that sends; -1: any")
        ->capture_default_str();
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
