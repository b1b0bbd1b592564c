// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/shape_decider.h"

namespace synward {
namespace {

// Tickets already written need a moment to take effect; what was on its way asks again.
constexpr std::uint64_t ticket_again = 1'000'000'000;

}  // namespace

ShapeDecider::ShapeDecider(const DecideConfig& config, DecideShared& shared, KeySource& keys)
    : config_(config),
      shared_(shared),
      unknown_(config.shape_unknown),
      variety_(config.shape_variety),
      ledger_(config.shapes, keys.next()) {}

Opinion ShapeDecider::decide(const FlowEvent& event, std::uint64_t now, Decision& decision) {
    if (event.kind == EventKind::shape) {
        const bool proven = shared_.proven.find(event.source, event.family, Scope::host, now)
                                .within(nanoseconds(config_.proven_window));
        shared_.shapes.learn(decision.service, event.shape, proven ? 2 : 1, now);
        return Opinion::none;
    }
    Ledger::Entry entry = ledger_.claim(shared_.shapes.name(decision.service, event.shape));
    if (shared_.shapes.count(decision.service, event.shape) >= config_.shape_normal) {
        if (entry.ticket_due(ticket_again, now))
            decision.ticket_shape(event, SW_ACTION_PASS, config_.shape_pass);
        return decision.conclude(Opinion::accept, DecisionReason::shape_normal);
    }
    if (!entry.take(unknown_, now)) {
        if (entry.ticket_due(ticket_again, now)) {
            decision.ticket_shape(event, SW_ACTION_DROP, config_.shape_drop);
            decision.report(event);
        }
        return decision.conclude(Opinion::drop, DecisionReason::shape_flood);
    }
    // Random shapes are each rare: together they are a flood, which no ticket can name.
    if (!variety_.take(variety_arrival_[decision.service], now))
        return decision.conclude(Opinion::drop, DecisionReason::shape_variety);
    return decision.conclude(Opinion::accept, DecisionReason::shape_rare);
}

}  // namespace synward
