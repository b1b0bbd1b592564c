// SPDX-License-Identifier: GPL-2.0-or-later
// synward unprotect: takes a service out of the policy in force.
#include <fmt/format.h>

#include <memory>

#include "lib/instance.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/service_word.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct UnprotectParameters {
    std::string service;
    std::vector<std::string> devices;
};

Result<void> run_unprotect(const UnprotectParameters& parameters, const Context& context) {
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    const DaemonLink daemon(context);
    nlohmann::json removed = nlohmann::json::array();
    Error first;
    bool managed = false;
    for (Instance& instance : *instances) {
        const std::string& device = instance.interface().name;
        const auto lock = instance.lock(InterfaceLock::Part::policy);
        if (!lock) return tl::unexpected(lock.error());
        const auto live = instance.read_policy();
        if (!live) return tl::unexpected(live.error());
        const auto name = resolve_service(*live, parameters.service);
        if (!name) {
            // A service need not be on every interface, but on one.
            if (first.message.empty())
                first = {fmt::format("{}: {}", device, name.error().message), name.error().code};
            continue;
        }
        const auto rest = remove_service(*live, *name);
        if (!rest) return tl::unexpected(rest.error());
        if (auto done = instance.apply(*rest); !done) return done;
        removed.push_back({{"interface", device}, {"service", *name}});
        managed |= daemon.protects(device);
        if (!context.json) fmt::print("{}: service {} is not protected any more\n", device, *name);
    }
    if (removed.empty()) return tl::unexpected(first);
    if (context.json)
        print_json({{"removed", std::move(removed)}});
    else if (managed)
        fmt::print(
            "synwardd's config file {} is not changed; if it names the service, its next reload protects it "
            "again\n",
            daemon.config_path());
    return {};
}

}  // namespace

void add_unprotect(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<UnprotectParameters>();
    CLI::App* command =
        add_command(app, context, "unprotect", "Protect a service no more, at once", "synward unprotect web");
    command->add_option("SERVICE", parameters->service, "Its name, or a port as `protect` takes it")
        ->required()
        ->type_name("SERVICE");
    add_device_option(command, parameters->devices);
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_unprotect(*parameters, context); };
    });
}

}  // namespace synward::cli
