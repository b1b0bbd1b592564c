// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/live_config.h"

#include <fmt/format.h>

#include <set>

#include "lib/gateway.h"
#include "lib/names.h"

namespace synward::cli {

Result<Config> live_config(std::span<const Instance> instances) {
    Config config;
    for (const Instance& instance : instances) {
        config.daemon.interfaces.push_back(instance.interface().name);
        const auto policy = instance.read_policy();
        if (!policy) return tl::unexpected(policy.error());
        for (const ServiceView& view : view_services(*policy)) {
            ServiceConfig service{.name = view.name, .ports = view.ports};
            service.settings.mode = static_cast<sw_mode>(view.service.mode);
            service.settings.delivery = static_cast<sw_delivery>(view.service.delivery);
            for (const auto& [address, port] : view.addresses) {
                service.ports.push_back(port);
                service.addresses.push_back(address);
            }
            config.services.push_back(std::move(service));
        }
    }
    return config;
}

std::vector<std::string> delivery_notes(const Config& config, const HostFacts& host) {
    const auto usual = choose_delivery(SW_DELIVERY_AUTO, host, is_gateway(config));
    std::set<sw_delivery> used;
    for (const ServiceConfig& service : config.services) used.insert(service.settings.delivery);
    std::vector<std::string> notes;
    for (const sw_delivery delivery : used)
        notes.push_back(fmt::format("delivery {}: {}{}", delivery_name(delivery),
                                    delivery == usual->delivery ? "" : "asked for; auto: ", usual->why));
    return notes;
}

}  // namespace synward::cli
