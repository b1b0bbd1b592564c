// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/target.h"

#include <fmt/format.h>

#include <algorithm>

namespace synward::cli {

void add_devices(CLI::App* command, std::vector<std::string>& devices) {
    command
        ->add_option("DEV,-d,--dev,--interface", devices,
                     "Interfaces; all that have synward if none is given")
        ->type_name("DEV");
}

void add_device_option(CLI::App* command, std::vector<std::string>& devices) {
    // One value each time: what follows is an argument of the command.
    command->add_option("-d,--dev,--interface", devices, "Interface; all that have synward if none is given")
        ->type_name("DEV")
        ->expected(1)
        ->take_all();
}

Result<std::vector<Instance>> loaded_instances() {
    const auto interfaces = list_interfaces();
    if (!interfaces) return tl::unexpected(interfaces.error());
    std::vector<Instance> instances;
    for (const Interface& interface : *interfaces) {
        auto instance = Instance::find(interface);
        if (instance)
            instances.push_back(std::move(*instance));
        else if (instance.error().code != ErrorCode::missing && instance.error().code != ErrorCode::busy)
            return tl::unexpected(instance.error());
    }
    return instances;
}

Result<std::vector<Instance>> find_instances(const std::vector<std::string>& devices) {
    if (devices.empty()) {
        auto instances = loaded_instances();
        if (instances && instances->empty())
            return fail(
                ErrorCode::missing,
                "synward is not loaded on any interface; `synward load DEV` or `synward protect PORT` "
                "loads it");
        return instances;
    }
    std::vector<Instance> instances;
    for (const std::string& device : devices) {
        const auto interface = find_interface(device);
        if (!interface) return tl::unexpected(interface.error());
        // Named twice, or by another of its names.
        if (std::any_of(instances.begin(), instances.end(),
                        [&](const Instance& one) { return one.interface().index == interface->index; }))
            continue;
        auto instance = Instance::find(*interface);
        if (!instance) return tl::unexpected(instance.error());
        instances.push_back(std::move(*instance));
    }
    return instances;
}

}  // namespace synward::cli
