// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/live_config.h"

#include <fmt/format.h>

#include <iterator>
#include <set>
#include <utility>

#include "lib/gateway.h"
#include "lib/names.h"
#include "lib/policy_config.h"

namespace synward::cli {

Result<Config> live_config(const Instance& instance, const LocalNetwork& network) {
    const auto policy = instance.read_policy();
    if (!policy) return tl::unexpected(policy.error());
    const std::string& name = instance.interface().name;
    return config_of(*policy, read_host(name), instance.interface(), local_addresses(network, name));
}

Result<Config> live_config(std::span<const Instance> instances) {
    const auto network = read_local_network();
    if (!network) return tl::unexpected(network.error());
    Config config;
    for (const Instance& instance : instances) {
        auto one = live_config(instance, *network);
        if (!one) return one;
        auto services = std::move(config.services);
        services.insert(services.end(), std::make_move_iterator(one->services.begin()),
                        std::make_move_iterator(one->services.end()));
        one->daemon.interfaces.insert(one->daemon.interfaces.begin(), config.daemon.interfaces.begin(),
                                      config.daemon.interfaces.end());
        if (!one->daemon.gateway) one->daemon.gateway = config.daemon.gateway;
        config = std::move(*one);
        config.services = std::move(services);
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
