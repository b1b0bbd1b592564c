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

// May the connections of a service be another host's? Not those of local addresses alone,
// and the administrator of a gateway who names addresses and a delivery knows.
[[nodiscard]] inline bool may_be_forwarded(const Config& config, const ServiceConfig& s) {
    if (!is_gateway(config)) return false;
    return s.settings.delivery == SW_DELIVERY_AUTO ? !(s.local && s.addresses.empty()) : s.everywhere();
}

}  // namespace synward
