// SPDX-License-Identifier: GPL-2.0-or-later
// synward stats: the counters.
#include "lib/stats.h"

#include <fmt/format.h>

#include <memory>

#include "lib/json.h"
#include "lib/reasons.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"
#include "tools/cli/service_word.h"
#include "tools/cli/table.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct StatsParameters {
    std::vector<std::string> devices;
    std::string service;
    bool all = false;
};

constexpr std::string_view no_service = "no service";

void print_counters(const std::string& title, const Counters& packets, bool all) {
    Table table({{""}, {"", Table::Align::right}, {""}});
    for (unsigned i = 0; i < packets.size(); i++)
        if (all || packets[i])
            table.add({std::string(reasons[i].name),
                       std::to_string(packets[i]),
                       {std::string(reasons[i].text), Colour::dim}});
    if (table.empty() && title == no_service) return;
    fmt::print("  {}\n{}", paint(title, Colour::bold), table.empty() ? "    nothing yet\n" : table.text(4));
}

Result<Stats> read_stats(const Instance& instance, const std::string& word) {
    auto stats = instance.stats();
    if (!stats || word.empty()) return stats;
    const auto policy = instance.read_policy();
    if (!policy) return tl::unexpected(policy.error());
    const auto name = resolve_service(*policy, word);
    if (!name) return tl::unexpected(name.error());
    std::erase_if(stats->services, [&](const ServiceStats& s) { return s.name != *name; });
    return stats;
}

Result<void> run_stats(const StatsParameters& parameters, const Context& context) {
    const auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    nlohmann::json interfaces = nlohmann::json::array();
    Error first;
    for (const Instance& instance : *instances) {
        const std::string& device = instance.interface().name;
        const auto stats = read_stats(instance, parameters.service);
        if (!stats) {
            if (first.message.empty())
                first = {fmt::format("{}: {}", device, stats.error().message), stats.error().code};
            continue;
        }
        nlohmann::json one = stats_json(*stats, parameters.all);
        one["interface"] = device;
        interfaces.push_back(std::move(one));
        if (context.json) continue;
        fmt::print("{}:\n", paint(device, Colour::bold));
        for (const ServiceStats& service : stats->services)
            print_counters(service.index ? "service " + service.name : std::string(no_service),
                           service.packets, parameters.all);
        if (stats->services.size() > 2) print_counters("all together", stats->total(), parameters.all);
    }
    if (interfaces.empty()) return tl::unexpected(first);
    const nlohmann::json module =
        parameters.service.empty() ? module_stats_json(parameters.all) : nlohmann::json();
    if (context.json) {
        print_json({{"interfaces", std::move(interfaces)}, {"module", module}});
    } else if (!module.is_null()) {
        Counters packets{};
        for (unsigned i = 0; i < packets.size(); i++)
            packets[i] = module.value(std::string(reasons[i].name), std::uint64_t{0});
        fmt::print("{}:\n", paint("kernel module", Colour::bold));
        print_counters("all rings", packets, false);
    }
    return {};
}

}  // namespace

void add_stats(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<StatsParameters>();
    CLI::App* command = add_command(app, context, "stats", "Show how many packets left for which reason",
                                    "synward stats eth0 --service web");
    add_devices(command, parameters->devices);
    command->add_option("-S,--service", parameters->service, "Of this service only")->type_name("SERVICE");
    command->add_flag("-a,--all", parameters->all, "Also the reasons that never happened");
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_stats(*parameters, context); }; });
}

}  // namespace synward::cli
