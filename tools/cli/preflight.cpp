// SPDX-License-Identifier: GPL-2.0-or-later
// synward preflight: what on this host stands in the way?
#include "lib/preflight.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "lib/json.h"
#include "tools/cli/context.h"
#include "tools/cli/findings.h"
#include "tools/cli/live_config.h"
#include "tools/cli/output.h"
#include "tools/cli/route.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

// A config that says what is in force, or the interfaces alone.
Result<Config> config_of(std::vector<std::string> devices) {
    auto instances = loaded_instances();
    if (!instances) return tl::unexpected(instances.error());
    if (devices.empty())
        for (const Instance& instance : *instances) devices.push_back(instance.interface().name);
    if (devices.empty())
        if (const auto device = default_route_interface()) devices.push_back(*device);
    if (devices.empty())
        return fail(ErrorCode::usage, "there is no default route; name the interfaces to look at");
    std::erase_if(*instances, [&](const Instance& instance) {
        return std::find(devices.begin(), devices.end(), instance.interface().name) == devices.end();
    });
    auto config = live_config(*instances);
    if (!config) return config;
    config->daemon.interfaces = std::move(devices);
    return config;
}

Result<void> run(const std::vector<std::string>& devices, const Context& context) {
    const auto config = config_of(devices);
    if (!config) return tl::unexpected(config.error());
    const auto findings = preflight(*config);
    if (context.json) {
        print_json({{"interfaces", config->daemon.interfaces}, {"findings", findings_json(findings)}});
    } else {
        if (findings.empty())
            fmt::print("nothing stands in the way on {}\n", fmt::join(config->daemon.interfaces, ", "));
        print_findings(findings_json(findings));
    }
    return judge(findings);
}

}  // namespace

void add_preflight(CLI::App& app, Context& context) {
    auto devices = std::make_shared<std::vector<std::string>>();
    CLI::App* command =
        add_command(app, context, "preflight",
                    "Name every sysctl, firewall rule and driver setting that stands in the way",
                    "synward preflight eth0");
    command
        ->add_option("DEV,-d,--dev,--interface", *devices,
                     "Interfaces; those that have synward, or else that of the default route")
        ->type_name("DEV");
    command->callback(
        [devices, &context] { context.work = [=, &context] { return run(*devices, context); }; });
}

}  // namespace synward::cli
