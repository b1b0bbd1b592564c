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

// On a gateway: may the service's connections be another host's? Not those of local
// addresses alone, and the administrator who names addresses and a delivery knows.
[[nodiscard]] inline bool may_be_forwarded(const ServiceConfig& s, sw_delivery wanted) {
    return wanted == SW_DELIVERY_AUTO ? !(s.local && s.addresses.empty()) : s.everywhere();
}

}  // namespace synward
