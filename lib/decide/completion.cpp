// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/completion.h"

namespace synward {
namespace {

// Only proven sources get an entry, so that few suffice.
constexpr std::size_t host_entries = 1024;
constexpr std::size_t net_entries = 1024;

}  // namespace

Completion::Completion(const DecideConfig& config, DecideShared& shared, KeySource& keys)
    : config_(config),
      shared_(shared),
      proven_(config.proven),
      neighbour_(config.neighbour),
      window_(nanoseconds(config.proven_window)) {
    for (std::size_t i = 0; i < families * doubts; i++) hosts_.emplace_back(host_entries, keys.next());
    for (std::size_t i = 0; i < families; i++) nets_.emplace_back(net_entries, keys.next());
}

std::uint32_t Completion::kinds() const {
    // Nothing excuses a malformed packet.
    return kind_bit(EventKind::handshake) | kind_bit(EventKind::syn) | kind_bit(EventKind::stray) |
           kind_bit(EventKind::synack) | kind_bit(EventKind::reset) | kind_bit(EventKind::fragment);
}

Opinion Completion::decide(const FlowEvent& event, std::uint64_t now, Decision& decision) {
    if (event.kind == EventKind::handshake) {
        shared_.proven.add(event.source, event.family, now);
        return Opinion::none;
    }
    const auto doubt = event_doubt(event.kind);
    if (!doubt) return Opinion::none;
    // `strays` accepts it, however much comes: our rate would cut a connection that XDP cannot see.
    if (decision.known == KnownFlow::flow) return Opinion::none;
    if (shared_.proven.find(event.source, event.family, Scope::host, now).within(window_))
        return decide_proven(event, *doubt, now, decision);

    const auto net = shared_.proven.find(event.source, event.family, Scope::net, now);
    if (!net.within(window_) || net.handshakes < config_.prefix_handshakes) return Opinion::none;
    // A weak proof: no ticket, and beyond the rate the others decide.
    Ledger::Entry entry = nets_[event.family].claim(prefix_id(event.source, event.family, Scope::net));
    return entry.take(neighbour_, now) ? decision.conclude(Opinion::accept, DecisionReason::neighbour)
                                       : Opinion::none;
}

Opinion Completion::decide_proven(const FlowEvent& event, sw_doubt doubt, std::uint64_t now,
                                  Decision& decision) {
    const bool syn = doubt == SW_DOUBT_SYN;
    Ledger::Entry entry =
        hosts(event.family, doubt).claim(prefix_id(event.source, event.family, Scope::host));
    if (entry.take(proven_, now)) {
        // A pass ticket for SYNs only means a cookie, which harms nobody. Of other
        // doubts it opens the way for whoever forges this source, and nobody counts
        // while it lasts: hence short, and seldom.
        const std::uint64_t every = nanoseconds(syn ? config_.proven_syn_pass : config_.proven_pass_every);
        if (entry.ticket_due(every, now))
            decision.ticket_source(event, doubt, SW_ACTION_PASS,
                                   syn ? config_.proven_syn_pass : config_.proven_pass);
        return decision.conclude(Opinion::accept, DecisionReason::proven);
    }
    // Whoever spoofs SYNs of a proven source must not have it locked out: its shape decides.
    if (syn) return Opinion::none;
    // Its first time over the limit revokes the privilege; what was still on its
    // way before the ticket is just dropped. Not of a source with known connections:
    // the ticket would cut them, and somebody else may have forged this.
    if (decision.known == KnownFlow::none && entry.arrival() - now <= proven_.tolerance + proven_.interval) {
        entry.penalise(proven_, now + nanoseconds(config_.revoke));
        decision.ticket_source(event, doubt, SW_ACTION_DROP, config_.revoke);
        decision.report(event);
    }
    return decision.conclude(Opinion::drop, DecisionReason::proven_over_rate);
}

void Completion::explain(const RawAddress& source, sw_family family, std::uint64_t now,
                         Explanation& explanation) const {
    for (const Scope scope : {Scope::host, Scope::net}) {
        const auto proof = shared_.proven.find(source, family, scope, now);
        if (proof.handshakes)
            explanation.proofs.push_back({prefix_of(source, family, scope), proof.handshakes,
                                          static_cast<double>(proof.age) / 1e9, proof.within(window_)});
    }
    for (unsigned doubt = 0; doubt < doubts; doubt++)
        add_rate(hosts_[family * doubts + doubt], id(), doubt_name(static_cast<sw_doubt>(doubt)),
                 prefix_of(source, family, Scope::host), prefix_id(source, family, Scope::host),
                 config_.proven, now, explanation);
    add_rate(nets_[family], id(), "any", prefix_of(source, family, Scope::net),
             prefix_id(source, family, Scope::net), config_.neighbour, now, explanation);
}

std::size_t Completion::memory_bytes() const {
    std::size_t bytes = 0;
    for (const auto* ledgers : {&hosts_, &nets_})
        for (const Ledger& ledger : *ledgers) bytes += ledger.memory_bytes();
    return bytes;
}

}  // namespace synward
