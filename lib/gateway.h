// SPDX-License-Identifier: GPL-2.0-or-later
// Is this host a gateway? What it forwards has no socket here, so that only netfilter's
// SYNPROXY can take a validated connection.
#pragma once

#include <algorithm>

#include "lib/config.h"

namespace synward {

// As daemon.gateway says; else where a service uses SYNPROXY.
[[nodiscard]] inline bool is_gateway(const Config& config) {
    const auto forwards = [](const Settings& s) { return s.delivery == SW_DELIVERY_SYNPROXY; };
    return config.daemon.gateway.value_or(
        (config.daemon.listening && forwards(config.defaults)) ||
        std::any_of(config.services.begin(), config.services.end(),
                    [&](const ServiceConfig& s) { return forwards(s.settings); }));
}

// Does `auto` mean SYNPROXY for a service? On a gateway, unless it is of this host's own
// addresses or of what was found listening. With any other delivery the program asks for the
// listener, and lets pass what the host forwards.
[[nodiscard]] inline bool may_be_forwarded(const Config& config, const ServiceConfig& s) {
    const bool own = s.listener || (s.local && s.addresses.empty());
    return s.settings.delivery == SW_DELIVERY_AUTO && !own && is_gateway(config);
}

}  // namespace synward
