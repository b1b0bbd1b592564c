// SPDX-License-Identifier: GPL-2.0-or-later
// synward unload: takes the programs off interfaces.
#include <fmt/format.h>

#include <memory>

#include "lib/classify/classification.h"
#include "lib/instance.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct UnloadParameters {
    std::vector<std::string> devices;
    bool all = false;
};

// With the last interface goes what marks connections and acts by the marks; a daemon
// that runs does so by its config. Sets are the administrator's.
void unclassify(const DaemonLink& daemon) {
    const auto left = loaded_instances();
    if (daemon.running() || !left || !left->empty()) return;
    if (const auto removed = remove_classification(); !removed)
        fmt::print(stderr, "synward: {}\n", removed.error().message);
}

Result<void> run_unload(const UnloadParameters& parameters, const Context& context) {
    std::vector<std::string> devices = parameters.devices;
    if (parameters.all) {
        const auto instances = loaded_instances();
        if (!instances) return tl::unexpected(instances.error());
        for (const Instance& instance : *instances) devices.push_back(instance.interface().name);
        if (devices.empty() && !context.json) fmt::print("synward is not loaded on any interface\n");
    } else if (devices.empty()) {
        return fail(ErrorCode::usage, "unload what? name interfaces, or give --all");
    }
    // Asked before: afterwards the daemon has noticed and protects them no more.
    const DaemonLink daemon(context);
    nlohmann::json unloaded = nlohmann::json::array();
    for (const std::string& device : devices) {
        const auto interface = find_interface(device);
        if (!interface) return tl::unexpected(interface.error());
        {
            const auto lock = InterfaceLock::take(*interface, InterfaceLock::Part::policy);
            // Taking it off is the way out of all else: nobody's lock stops it.
            if (auto done = Instance::unload(*interface); !done) return done;
            if (!lock)
                fmt::print(stderr, "synward: {}; it was unloaded all the same\n", lock.error().message);
        }
        unloaded.push_back(device);
        if (context.json) continue;
        fmt::print("{}: unloaded\n", device);
        if (daemon.protects(device))
            fmt::print(
                "{}: synwardd runs and loads it again at its next start or reload; `systemctl disable --now "
                "synwardd` ends that\n",
                device);
    }
    if (context.json) print_json({{"unloaded", std::move(unloaded)}});
    unclassify(daemon);
    return {};
}

}  // namespace

void add_unload(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<UnloadParameters>();
    CLI::App* command =
        add_command(app, context, "unload", "Take the programs off; established connections go on",
                    "synward unload eth0");
    auto* devices =
        command->add_option("DEV,-d,--dev,--interface", parameters->devices, "Interfaces")->type_name("DEV");
    command->add_flag("-a,--all", parameters->all, "Every interface that has synward")->excludes(devices);
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_unload(*parameters, context); };
    });
}

}  // namespace synward::cli
