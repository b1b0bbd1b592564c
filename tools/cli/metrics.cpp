// SPDX-License-Identifier: GPL-2.0-or-later
// synward metrics: what synwardd serves to Prometheus, with or without it.
#include "lib/metrics.h"

#include <fmt/format.h>

#include <memory>

#include "lib/json.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

using nlohmann::json;

Result<void> run_metrics(const std::vector<std::string>& devices, const Context& context) {
    const auto instances = find_instances(devices);
    if (!instances) return tl::unexpected(instances.error());
    const DaemonLink link(context);
    json status = link.running() ? link.status() : json::object();
    json states = json::array();
    json counters = json::array();
    for (const Instance& instance : *instances) {
        auto state = status_json(instance);
        if (!state) return tl::unexpected(state.error());
        states.push_back(std::move(*state));
        const auto stats = instance.stats();
        if (!stats) return tl::unexpected(stats.error());
        json one = stats_json(*stats, true);
        one["interface"] = instance.interface().name;
        counters.push_back(std::move(one));
    }
    status["interfaces"] = std::move(states);
    const json stats{{"interfaces", std::move(counters)}, {"module", module_stats_json(true)}};
    if (context.json)
        print_json({{"status", std::move(status)}, {"stats", stats}});
    else
        fmt::print("{}", metrics_text(metric_families(status, stats)));
    return {};
}

}  // namespace

void add_metrics(CLI::App& app, Context& context) {
    auto devices = std::make_shared<std::vector<std::string>>();
    CLI::App* command =
        add_command(app, context, "metrics", "Print counters and state as Prometheus reads them",
                    "synward metrics >/var/lib/prometheus/node-exporter/synward.prom");
    add_devices(command, *devices);
    command->callback(
        [devices, &context] { context.work = [=, &context] { return run_metrics(*devices, context); }; });
}

}  // namespace synward::cli
