// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>
#include <net/if.h>

#include <csignal>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "flood.h"
#include "link.h"
#include "output.h"

namespace synward::bench {
namespace {

struct Arguments {
    std::string to, to_mac = "auto", source, kind = "syn";
    bool own_network = false;
    FloodOptions flood;
    Output output;
};

std::stop_source stop_signal;

void refuse_foreign(const Prefix& prefix, std::string_view what) {
    if (is_test_network(prefix)) return;
    throw std::runtime_error(fmt::format(
        "the {} {} is not in a test network (198.18.0.0/15, 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, "
        "2001:db8::/32); if this network is yours, add --i-own-this-network",
        what, prefix.to_string()));
}

void run(Arguments& arguments) {
    auto& flood = arguments.flood;
    flood.to = parse_address(arguments.to);
    if (arguments.source.empty())
        arguments.source = flood.to.family == SW_IPV4 ? "198.18.0.0/15" : "2001:db8:bad::/48";
    flood.source = parse_prefix(arguments.source);
    flood.kind = parse_flood_kind(arguments.kind);
    if (!arguments.own_network) {
        refuse_foreign(parse_prefix(arguments.to), "destination");
        refuse_foreign(flood.source, "source");
    }
    const Link link = read_link(flood.interface);
    flood.to_mac = arguments.to_mac == "auto" ? resolve(link, flood.to) : parse_mac(arguments.to_mac);

    Flood engine(flood);
    std::signal(SIGINT, [](int) { stop_signal.request_stop(); });
    std::signal(SIGTERM, [](int) { stop_signal.request_stop(); });
    progress(fmt::format("flooding {} port {} from {} by {}, {} frames, at most {:g} s", flood.to.to_string(),
                         flood.port, flood.source.to_string(), flood.interface, arguments.kind,
                         flood.seconds));
    const FloodReport report = engine.run(stop_signal.get_token());

    const double rate = report.seconds > 0 ? static_cast<double>(report.sent) / report.seconds : 0;
    Table table({"kind", "made", "left the interface", "seconds", "per second"});
    table.add({arguments.kind, fmt::format("{}", report.sent), fmt::format("{}", report.delivered),
               fmt::format("{:.2f}", report.seconds), count_text(rate)});
    arguments.output.print(table.text());
    arguments.output.write({{"kind", arguments.kind},
                            {"to", flood.to.to_string()},
                            {"port", flood.port},
                            {"source", flood.source.to_string()},
                            {"made", report.sent},
                            {"left_interface", report.delivered},
                            {"seconds", report.seconds},
                            {"rate", rate}});
    if (report.sent != 0 && report.delivered == 0)
        throw std::runtime_error(
            fmt::format("none of the frames left {}: its driver must take frames from XDP, and the other end "
                        "of a veth pair needs "
                        "an XDP program or 'ethtool -K DEV gro on'",
                        flood.interface));
}

}  // namespace

void add_flood(CLI::App& app) {
    auto arguments = std::make_shared<Arguments>();
    auto& flood = arguments->flood;
    CLI::App* command =
        app.add_subcommand("flood", "Send a bounded flood of TCP frames, to test your own protection");
    command->add_option("-i,--interface", flood.interface, "interface the frames leave by")->required();
    command->add_option("--to", arguments->to, "destination address")->required();
    command->add_option("--port", flood.port, "destination port")->capture_default_str();
    command->add_option("--to-mac", arguments->to_mac, "station the frames go to: auto, or a MAC address")
        ->capture_default_str();
    command->add_option("--source", arguments->source,
                        "prefix of the random sources [198.18.0.0/15 or 2001:db8:bad::/48]");
    command->add_option("--kind", arguments->kind, "what is sent")
        ->check(CLI::IsMember({"syn", "ack", "rst", "synack", "odd-syn", "fragment"}))
        ->capture_default_str();
    command->add_option("--rate", flood.rate, "frames per second; 0: as fast as possible")
        ->capture_default_str();
    command->add_flag("--even", flood.even, "space the frames evenly; takes the whole CPU")->needs("--rate");
    command->add_option("--count", flood.count, "stop after this many frames; 0: by time alone")
        ->capture_default_str();
    command->add_option("--seconds", flood.seconds, "stop after this time")
        ->check(CLI::Range(0.0, kFloodSeconds))
        ->capture_default_str();
    command->add_option("--cpu", flood.cpu, "CPU to run on; -1: any")->capture_default_str();
    command->add_flag("--i-own-this-network", arguments->own_network,
                      "allow addresses outside the test networks");
    command->add_option("-j,--json", arguments->output.json_path, "write JSON to FILE, '-' for stdout");
    command->callback([arguments] { run(*arguments); });
}

}  // namespace synward::bench
