// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "output.h"
#include "program.h"

namespace synward::bench {
namespace {

struct Arguments {
    ProgramOptions program;
    std::string family = "both";
    bool no_synward = false;
    Output output;
};

const Measured* find(const std::vector<Measured>& results, const std::string& name, sw_family family) {
    for (const auto& result : results)
        if (result.program == "synward" && result.name == name && result.family == family) return &result;
    return nullptr;
}

// The aims are for a machine on which xdp_synproxy of the kernel's selftests answers a SYN in so
// many ns (between 226 and 236).
constexpr const char* kYardstick = "selftest";
constexpr double kYardstickNs = 231;

// How many times slower than that this machine is, by a peer of that name in the same run; 1
// where there is none. The median of its SYNs.
double slowness(const std::vector<Measured>& results) {
    std::vector<double> syns;
    for (const auto& result : results)
        if (result.program == kYardstick && result.as_expected && result.name.starts_with("SYN answered"))
            syns.push_back(result.cost.ns);
    if (syns.empty()) return 1;
    std::sort(syns.begin(), syns.end());
    return syns[syns.size() / 2] / kYardstickNs;
}

void run(Arguments& arguments) {
    auto& options = arguments.program;
    if (arguments.family == "4") options.families = {SW_IPV4};
    if (arguments.family == "6") options.families = {SW_IPV6};
    // programs that run already are measured alone unless peers from files are named too
    const bool running = !options.ids.empty() || !options.pinned.empty() || !options.interfaces.empty();
    options.synward =
        !arguments.no_synward && (!running || !options.object.empty() || !options.peers.peers.empty());
    if (!options.interfaces.empty() || !options.ids.empty())
        progress("note: the packets go through the live maps of the program; its counters will show them");
    const auto results = measure_programs(options);
    const double slower = slowness(results);

    Table table({"program", "packet", "", "ns", "at most", "way", "synward is"});
    auto json = nlohmann::ordered_json::array();
    bool wrong = false;
    for (const auto& result : results) {
        const Measured* ours =
            result.program == "synward" ? nullptr : find(results, result.name, result.family);
        const double times = ours && ours->cost.ns > 0 ? result.cost.ns / ours->cost.ns : 0;
        std::string way = result.way;
        if (!result.as_expected)
            way += fmt::format(" ({:.1f} %: not what this case is about)", result.share * 100);
        wrong = wrong || !result.as_expected;
        const double budget = result.program == "synward" ? result.budget * slower : 0;
        table.add({result.program, result.name, std::string(family_name(result.family)),
                   fmt::format("{:.1f}", result.cost.ns),
                   budget > 0 ? fmt::format("{:.0f}{}", budget, result.cost.ns > budget ? " over" : "") : "-",
                   way, times > 0 ? fmt::format("{:.2f} x", times) : "-"});
        json.push_back({{"program", result.program},
                        {"packet", result.name},
                        {"family", result.family == SW_IPV4 ? 4 : 6},
                        {"ns", result.cost.ns},
                        {"wrapper_ns", result.cost.wrapper},
                        {"at_most", budget > 0 ? nlohmann::ordered_json(budget) : nullptr},
                        {"way", result.way},
                        {"as_expected", result.as_expected},
                        {"synward_times", times > 0 ? nlohmann::ordered_json(times) : nullptr}});
    }
    std::string scale;
    if (slower != 1)
        scale = fmt::format(
            "\n\"at most\" is {:.2f} times the aim: {} takes so many times the {:g} ns for a SYN that it\n"
            "takes where the aims are from.\n",
            slower, kYardstick, kYardstickNs);
    arguments.output.print(
        fmt::format("Time of the program alone, ns per packet, least of {} rounds of {} packets\n\n{}{}",
                    options.runner.rounds, options.runner.packets, table.text(), scale));
    arguments.output.write({{"rounds", options.runner.rounds},
                            {"packets", options.runner.packets},
                            {"aims_times", slower},
                            {"results", json}});
    if (wrong)
        throw std::runtime_error("some packets did not take the way that their case is about; see the table");
}

}  // namespace

void add_program(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& program = arguments->program;
    CLI::App* command =
        app.add_subcommand("program", "Time per packet of synward's XDP program, or of any other");
    command->add_option("--object", program.object, "synward's BPF object [searched beside this program]");
    command->add_flag("--no-synward", arguments->no_synward, "measure only the peers");
    add_peer_options(*command, program.peers);
    command->add_option("--pinned", program.pinned, "an XDP program pinned at this path");
    command->add_option("--id", program.ids, "an XDP program by its id");
    command->add_option("-i,--interface", program.interfaces, "the XDP program attached to this interface");
    command->add_option("--to4", program.to4, "IPv4 destination of packets to peers [198.18.0.1]");
    command->add_option("--to6", program.to6, "IPv6 destination of packets to peers [2001:db8::1]");
    command->add_option("--to-mac", program.to_mac,
                        "destination MAC address of packets to peers [02:00:00:00:00:01]");
    command->add_option("--port", program.port, "destination port of packets to peers")
        ->capture_default_str();
    command->add_option("--family", arguments->family, "4, 6 or both")
        ->check(CLI::IsMember({"4", "6", "both"}))
        ->capture_default_str();
    command->add_option("--filter", program.filter, "only cases whose name contains this");
    command->add_option("--rounds", program.runner.rounds, "rounds; the least counts")
        ->check(CLI::Range(1, 10000))
        ->capture_default_str();
    command->add_option("--packets", program.runner.packets, "packets of a round")
        ->check(CLI::Range(1000, 100000000))
        ->capture_default_str();
    command->add_flag(
        "!--overlap", program.runner.fence,
        "let the processor run the program ahead in the shadow of what makes the packet (shows less)");
    command->add_option("--cpu", program.cpu, "CPU to run on; -1: any")->capture_default_str();
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
