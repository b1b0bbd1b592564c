// SPDX-License-Identifier: GPL-2.0-or-later
// What `synward top` shows of the counters.
#pragma once

#include <string_view>

#include "lib/policy.h"
#include "lib/stats.h"

namespace synward::cli {

struct Traffic {
    double packets = 0;    // all, a second
    double answered = 0;   // SYNs answered with a cookie
    double validated = 0;  // connections made from a cookie
    double strays = 0;     // packets of no connection
    double dropped = 0;    // freed at the driver, or at tc for a full accept queue

    Traffic& operator+=(const Traffic& other);
};

// `service` says what happens to strays, fragments and malformed packets; null
// for packets of no service, whose actions are those of `config`. Pure.
[[nodiscard]] Traffic traffic(const Counters& before, const Counters& after, double seconds,
                              const sw_config& config, const sw_service* service);

}  // namespace synward::cli
