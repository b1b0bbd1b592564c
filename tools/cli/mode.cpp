// SPDX-License-Identifier: GPL-2.0-or-later
// synward mode: changes the mode of a service at once.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "lib/instance.h"
#include "lib/names.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/service_word.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct ModeParameters {
    std::string service;
    std::string mode;
    std::vector<std::string> devices;
};

Result<void> run_mode(const ModeParameters& parameters, const Context& context) {
    const auto mode = parse_mode(parameters.mode);
    if (!mode)
        return fail(
            ErrorCode::usage,
            fmt::format("there is no mode '{}'; there are off, monitor, auto and cookie", parameters.mode));
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    DaemonLink daemon(context);
    nlohmann::json changed = nlohmann::json::array();
    Error first;
    std::string managed;
    for (Instance& instance : *instances) {
        const std::string& device = instance.interface().name;
        // Where the daemon does it, the daemon takes the lock.
        std::optional<InterfaceLock> lock;
        if (!daemon.protects(device)) {
            auto taken = instance.lock(InterfaceLock::Part::policy);
            if (!taken) return tl::unexpected(taken.error());
            lock.emplace(std::move(*taken));
        }
        const auto live = instance.read_policy();
        if (!live) return tl::unexpected(live.error());
        const auto name = resolve_service(*live, parameters.service);
        if (!name) {
            if (first.message.empty())
                first = {fmt::format("{}: {}", device, name.error().message), name.error().code};
            continue;
        }
        if (auto done = daemon.set_mode(instance, *name, *mode); !done) return done;
        const std::string_view before = mode_name(live->services[live->find(*name)].mode);
        changed.push_back(
            {{"interface", device}, {"service", *name}, {"mode", mode_name(*mode)}, {"before", before}});
        if (daemon.protects(device)) managed = *name;
        if (!context.json)
            fmt::print("{}: service {}: mode {} (was {})\n", device, *name, mode_name(*mode), before);
    }
    if (changed.empty()) return tl::unexpected(first);
    if (context.json)
        print_json({{"changed", std::move(changed)}});
    else if (!managed.empty())
        fmt::print(
            "synwardd's config file {} is not changed, and its next reload sets the mode it says. To keep "
            "this "
            "one, write into the section of service {}:\n\nmode = \"{}\"\n",
            daemon.config_path(), managed, mode_name(*mode));
    return {};
}

}  // namespace

void add_mode(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<ModeParameters>();
    CLI::App* command =
        add_command(app, context, "mode", "Change the mode of a service at once", "synward mode web cookie");
    command->add_option("SERVICE", parameters->service, "Its name, or a port as `protect` takes it")
        ->required()
        ->type_name("SERVICE");
    command
        ->add_option("MODE", parameters->mode,
                     "off: pass everything; monitor: only count; auto: armed by the rate of SYNs; cookie: "
                     "always armed")
        ->required()
        ->type_name("off|monitor|auto|cookie");
    add_device_option(command, parameters->devices);
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_mode(*parameters, context); }; });
}

}  // namespace synward::cli
