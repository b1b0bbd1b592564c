// SPDX-License-Identifier: GPL-2.0-or-later
#include "protection.h"

#include <fmt/format.h>

namespace synward::bench {

Instance protect(const Netns& netns, const std::string& interface, const std::string& config,
                 const std::string& object) {
    const Netns::Inside inside(netns);
    LoadOptions options;
    options.object = object;
    auto instance = need(Instance::open(need(find_interface(interface)), options));
    apply_config(netns, instance, config);
    // as the daemon does: the filter of known connections is believed only after a walk over the
    // sockets, and both its generations have the size that fits them after the next
    for (int walk = 0; walk < 2; ++walk) need(instance.learn(object, Instance::Filter::fit));
    return instance;
}

void apply_config(const Netns& netns, Instance& instance, const std::string& config) {
    const Netns::Inside inside(netns);
    const auto previous = need(instance.read_policy());
    const auto policy =
        need(compile_policy(need(parse_config(config, "bench")), read_host(instance.interface().name),
                            instance.interface(), previous.config.abi != 0 ? &previous : nullptr));
    need(instance.apply(policy));
    need(need(instance.sources()).replace(policy.sources));
}

std::string service_config(uint16_t port, const std::string& mode) {
    return fmt::format(
        "[limits]\nreply_rate = 1000000000\nprefix_rate = 1000000000\n"
        "[[service]]\nname = \"bench\"\nport = [{}]\nmode = \"{}\"\n",
        port, mode);
}

}  // namespace synward::bench
