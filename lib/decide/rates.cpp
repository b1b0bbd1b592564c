// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/rates.h"

namespace synward {

PrefixRates::PrefixRates(const DecideConfig& config, KeySource& keys)
    : config_(config),
      host_(config.host_rate),
      net_(config.net_rate),
      connections_(config.connections),
      site_connections_(config.site_connections),
      sites_(config.rate_sources, keys.next()) {
    for (std::size_t i = 0; i < families * 2 * doubts; i++) {
        // SYNs are not counted by source: it may be forged.
        const std::size_t doubt = i % doubts;
        const bool counted = doubt != SW_DOUBT_SYN && doubt != SW_DOUBT_SHAPE;
        doubts_.emplace_back(counted ? config.rate_sources : 1, keys.next());
    }
    for (std::size_t i = 0; i < families; i++) connectors_.emplace_back(config.rate_sources, keys.next());
}

std::uint32_t PrefixRates::kinds() const {
    return kind_bit(EventKind::handshake) | kind_bit(EventKind::stray) | kind_bit(EventKind::synack) |
           kind_bit(EventKind::reset) | kind_bit(EventKind::fragment) | kind_bit(EventKind::malformed);
}

Opinion PrefixRates::decide(const FlowEvent& event, std::uint64_t now, Decision& decision) {
    if (event.kind == EventKind::handshake) return count_handshake(event, now, decision);
    const auto doubt = event_doubt(event.kind);
    if (!doubt) return Opinion::none;

    Ledger& hosts = doubts_[index(event.family, Scope::host, *doubt)];
    Ledger::Entry host = hosts.claim(prefix_id(event.source, event.family, Scope::host));
    if (!host.take(host_, now)) {
        // As in `strays`: the ticket would cut what XDP cannot see of this source.
        if (decision.known == KnownFlow::none && host.ticket_due(nanoseconds(config_.rate_drop) / 2, now)) {
            host.penalise(host_, now + nanoseconds(config_.rate_drop));
            decision.ticket_source(event, *doubt, SW_ACTION_DROP, config_.rate_drop);
            decision.report(event);
        }
        return decision.conclude(Opinion::drop, DecisionReason::host_rate);
    }
    // No ticket for a net's excess: it would be by source, and most sources of the net sent nothing.
    Ledger& nets = doubts_[index(event.family, Scope::net, *doubt)];
    if (!nets.claim(prefix_id(event.source, event.family, Scope::net)).take(net_, now))
        return decision.conclude(Opinion::drop, DecisionReason::net_rate);

    if (event.kind == EventKind::fragment && config_.fragment != Opinion::none)
        return decision.conclude(config_.fragment, DecisionReason::fragment_policy);
    if (event.kind == EventKind::malformed && config_.malformed != Opinion::none)
        return decision.conclude(config_.malformed, DecisionReason::malformed_policy);
    return Opinion::none;
}

Opinion PrefixRates::count_handshake(const FlowEvent& event, std::uint64_t now, Decision& decision) {
    Ledger::Entry host = connectors_[event.family].claim(prefix_id(event.source, event.family, Scope::host));
    if (!host.take(connections_, now)) return deny(event, host, connections_, Scope::host, now, decision);
    if (event.family != SW_IPV6) return Opinion::none;
    Ledger::Entry site = sites_.claim(prefix_id(event.source, SW_IPV6, Scope::net));
    if (!site.take(site_connections_, now))
        return deny(event, site, site_connections_, Scope::net, now, decision);
    return Opinion::none;
}

Opinion PrefixRates::deny(const FlowEvent& event, Ledger::Entry entry, const Gcra& limit, Scope scope,
                          std::uint64_t now, Decision& decision) {
    if (entry.ticket_due(nanoseconds(config_.deny) / 2, now)) {
        entry.penalise(limit, now + nanoseconds(config_.deny));
        decision.add_to_set(event, static_cast<std::uint8_t>(prefix_length(event.family, scope)),
                            config_.deny);
        decision.report(event);
    }
    return decision.conclude(Opinion::drop, DecisionReason::connection_flood);
}

void PrefixRates::explain(const RawAddress& source, sw_family family, std::uint64_t now,
                          Explanation& explanation) const {
    for (const Scope scope : {Scope::host, Scope::net}) {
        const Prefix prefix = prefix_of(source, family, scope);
        const std::uint64_t number = prefix_id(source, family, scope);
        for (const sw_doubt doubt : {SW_DOUBT_STRAY, SW_DOUBT_FRAGMENT, SW_DOUBT_MALFORMED})
            add_rate(doubts_[index(family, scope, doubt)], id(), doubt_name(doubt), prefix, number,
                     scope == Scope::host ? config_.host_rate : config_.net_rate, now, explanation);
        if (scope == Scope::host)
            add_rate(connectors_[family], id(), "handshake", prefix, number, config_.connections, now,
                     explanation);
        else if (family == SW_IPV6)
            add_rate(sites_, id(), "handshake", prefix, number, config_.site_connections, now, explanation);
    }
}

std::size_t PrefixRates::memory_bytes() const {
    std::size_t bytes = sites_.memory_bytes();
    for (const auto* ledgers : {&doubts_, &connectors_})
        for (const Ledger& ledger : *ledgers) bytes += ledger.memory_bytes();
    return bytes;
}

}  // namespace synward
