// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "command.h"
#include "output.h"
#include "wire.h"

namespace synward::bench {
namespace {

struct Arguments {
    WireOptions wire;
    Output output;
};

void run(const Arguments& arguments) {
    const auto results = run_wire(arguments.wire);
    const auto ours = std::find_if(results.begin(), results.end(),
                                   [](const auto& result) { return result.name == "synward"; });
    Table table({"", "SYNs/s", "replies/s", "of the first", "synward is"});
    auto json = nlohmann::ordered_json::array();
    for (const auto& result : results) {
        const double part = times_of(result, results.front());
        // some ways answer nothing at all, such as nft synproxy over IPv6 on some kernels
        const bool silent = result.replies < result.frames / 1000;
        const double times = silent || ours == results.end() ? 0 : times_of(*ours, result);
        table.add({result.name, count_text(result.frames), count_text(result.replies),
                   fmt::format("{:.1f} %", part * 100),
                   silent      ? "(no replies)"
                   : times > 0 ? fmt::format("{:.2f} x", times)
                               : "-"});
        json.push_back({{"name", result.name},
                        {"syns_per_second", result.frames},
                        {"replies_per_second", result.replies},
                        {"of_first", part},
                        {"synward_times", times},
                        {"rounds", result.rounds}});
    }
    arguments.output.print(fmt::format(
        "SYN flood over a veth pair, one core, {}, median of {} rounds of {:g} s\n\n{}",
        arguments.wire.ipv6 ? "IPv6" : "IPv4", arguments.wire.rounds, arguments.wire.seconds, table.text()));
    arguments.output.write({{"family", arguments.wire.ipv6 ? 6 : 4}, {"results", json}});
}

}  // namespace

void add_wire(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& wire = arguments->wire;
    CLI::App* command = app.add_subcommand(
        "wire",
        "Flood synward, the kernel, nft synproxy and bare XDP_TX over veth pairs and count the replies");
    command->add_option("--seconds", wire.seconds, "length of one round of one contestant")
        ->check(CLI::Range(0.05, 60.0))
        ->capture_default_str();
    command->add_option("--rounds", wire.rounds, "rounds; the median counts")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command->add_option("--cpu", wire.cpu, "CPU that floods and answers; -1: any")->capture_default_str();
    command->add_flag("-6,--ipv6", wire.ipv6, "IPv6 instead of IPv4");
    command->add_option("--port", wire.port, "TCP port")->capture_default_str();
    command->add_option("--object", wire.object, "synward's BPF object [searched beside this program]");
    command->add_option("--versus", wire.versus, "other versions of that object, by turns with it");
    command->add_option("--only", wire.only, "only the contestants of these names");
    add_peer_options(*command, wire.peers);
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
