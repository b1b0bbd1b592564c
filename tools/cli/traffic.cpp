// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/traffic.h"

#include "lib/reasons.h"

namespace synward::cli {
namespace {

bool is_stray(unsigned reason) {
    return reasons[reason].name.starts_with("stray_");
}

// The action for a reason whose action is the policy's.
unsigned policy_action(unsigned reason, const sw_config& config, const sw_service* service) {
    if (is_stray(reason)) return service ? service->stray : unsigned{SW_ACTION_PASS};
    if (reason == SW_REASON_SYN_ODD) return service ? service->odd_syn : unsigned{SW_ACTION_PASS};
    if (reason == SW_REASON_ESCALATE_LIMIT)
        return service ? service->escalate_default : unsigned{SW_ACTION_PASS};
    if (reason == SW_REASON_FRAGMENT) return service ? service->fragment : config.fragment;
    return service ? service->malformed : config.malformed;
}

bool is_dropped(unsigned reason, const sw_config& config, const sw_service* service) {
    if (service && service->mode == SW_MODE_MONITOR) return false;
    if (reason == SW_REASON_TC_ACCEPT_FULL) return true;
    if (reasons[reason].action == ReasonAction::DROP) return true;
    return reasons[reason].action == ReasonAction::POLICY &&
           policy_action(reason, config, service) == SW_ACTION_DROP;
}

}  // namespace

Traffic& Traffic::operator+=(const Traffic& other) {
    packets += other.packets;
    answered += other.answered;
    validated += other.validated;
    strays += other.strays;
    dropped += other.dropped;
    return *this;
}

Traffic traffic(const Counters& before, const Counters& after, double seconds, const sw_config& config,
                const sw_service* service) {
    const auto rate = rates(before, after, seconds);
    Traffic result;
    result.answered = rate[SW_REASON_SYN_ANSWERED];
    result.validated = rate[SW_REASON_ACK_VALIDATED];
    for (unsigned i = 0; i < rate.size(); i++) {
        // What tc counts, XDP has counted before.
        if (reasons[i].action != ReasonAction::TC) result.packets += rate[i];
        if (is_stray(i)) result.strays += rate[i];
        if (is_dropped(i, config, service)) result.dropped += rate[i];
    }
    return result;
}

}  // namespace synward::cli
