// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/strays.h"

namespace synward {
namespace {

// Only sources with connections that XDP cannot see get an entry, so that few suffice.
constexpr std::size_t known_entries = 1024;

}  // namespace

KnownFlow known_flow(const KnownFlows& flows, const FlowEvent& event) {
    if (event_doubt(event.kind) != SW_DOUBT_STRAY) return KnownFlow::none;
    // Both must say yes: the filter errs seldom, and then not twice for one stranger.
    if (!flows.contains_source(event.source, event.family)) return KnownFlow::none;
    return flows.contains(
               {event.source, event.destination, event.source_port, event.destination_port, event.family})
               ? KnownFlow::flow
               : KnownFlow::source;
}

Strays::Strays(const DecideConfig& config, const DecideShared& shared, KeySource& keys)
    : config_(config), shared_(shared), repeats_{1, config.stray_repeats}, gcra_(repeats_) {
    for (std::size_t i = 0; i < families; i++) hosts_.emplace_back(config.rate_sources, keys.next());
    for (std::size_t i = 0; i < families; i++) known_.emplace_back(known_entries, keys.next());
}

std::uint32_t Strays::kinds() const {
    return kind_bit(EventKind::stray) | kind_bit(EventKind::synack) | kind_bit(EventKind::reset);
}

Opinion Strays::decide(const FlowEvent& event, std::uint64_t now, Decision& decision) {
    const bool known = decision.known == KnownFlow::flow;
    if (!known && !shared_.flows.trusted(now, nanoseconds(config_.known_flows_age))) return Opinion::none;

    // A ticket pays only for a source that comes again: random ones would fill the
    // kernel's table and push out tickets that matter.
    Ledger::Entry entry =
        (known ? known_ : hosts_)[event.family].claim(prefix_id(event.source, event.family, Scope::host));
    const bool again = !entry.take(gcra_, now);
    if (known) {
        // A connection that XDP cannot see (DNAT, another namespace) sends on and on.
        if (again && entry.ticket_due(nanoseconds(config_.known_pass), now))
            decision.ticket_source(event, SW_DOUBT_STRAY, SW_ACTION_PASS, config_.known_pass);
        return decision.conclude(Opinion::accept, DecisionReason::known_flow);
    }
    // Somebody else may forge strays of a source that has such a connection: no ticket, or it would break.
    if (again && decision.known == KnownFlow::none &&
        entry.ticket_due(nanoseconds(config_.stray_drop) / 2, now))
        decision.ticket_source(event, SW_DOUBT_STRAY, SW_ACTION_DROP, config_.stray_drop);
    return decision.conclude(Opinion::drop, DecisionReason::unknown_flow);
}

void Strays::explain(const RawAddress& source, sw_family family, std::uint64_t now,
                     Explanation& explanation) const {
    if (shared_.flows.finished())
        explanation.flows = shared_.flows.contains_source(source, family) ? Explanation::Flows::some
                                                                          : Explanation::Flows::none;
    // Known connections are counted for their ticket only: nothing limits them.
    add_rate(hosts_[family], id(), "stray", prefix_of(source, family, Scope::host),
             prefix_id(source, family, Scope::host), repeats_, now, explanation);
}

std::size_t Strays::memory_bytes() const {
    std::size_t bytes = 0;
    for (const auto* ledgers : {&hosts_, &known_})
        for (const Ledger& ledger : *ledgers) bytes += ledger.memory_bytes();
    return bytes;
}

}  // namespace synward
