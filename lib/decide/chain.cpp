// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/chain.h"

#include <algorithm>

#include "lib/decide/completion.h"
#include "lib/decide/rates.h"
#include "lib/decide/shape_decider.h"
#include "lib/decide/strays.h"

namespace synward {
namespace {

constexpr std::size_t decisions_shown = 16;  // and as many with actions

// Of kinds that no decider could decide, only what was learned.
bool is_observation(EventKind kind) {
    return kind == EventKind::handshake || kind == EventKind::shape;
}

}  // namespace

Chain::Chain(const DecideConfig& config, DecideShared& shared, KeySource& keys)
    : config_(config),
      shared_(shared),
      deciders_{std::make_unique<Completion>(config_, shared, keys),
                std::make_unique<Strays>(config_, shared, keys),
                std::make_unique<ShapeDecider>(config_, shared, keys),
                std::make_unique<PrefixRates>(config_, keys)},
      log_(config.log_decisions),
      action_log_(config.log_actions) {
    for (std::size_t i = 0; i < deciders_.size(); i++) kinds_[i] = deciders_[i]->kinds();
}

void Chain::decide(const FlowEvent& event, std::uint64_t now, Decision& d) {
    d.reset();
    d.dry_run = config_.dry_run;
    d.service = shared_.services.find(event);
    d.known = known_flow(shared_.flows, event);
    d.wanted = Opinion::none;
    d.decider = DeciderId::chain;
    const bool observation = is_observation(event.kind);
    d.reason = observation ? DecisionReason::noted : DecisionReason::service_default;
    const std::uint32_t kind = kind_bit(event.kind);
    for (std::size_t i = 0; i < deciders_.size() && d.wanted == Opinion::none; i++) {
        if (!(kinds_[i] & kind)) continue;
        d.wanted = deciders_[i]->decide(event, now, d);
        if (d.wanted != Opinion::none) d.sign(deciders_[i]->id());
    }

    Verdict& v = d.verdict;
    v.id = event.id;
    v.kind = shared_.services.fallback(d.service);
    v.mark = v.mask = 0;
    if (!d.dry_run) {
        if (d.wanted != Opinion::none)
            v.kind = d.wanted == Opinion::drop ? SW_VERDICT_DROP : SW_VERDICT_ACCEPT;
        // It has been decided: nobody behind us shall take it for an open question.
        if (v.kind == SW_VERDICT_ACCEPT) {
            v.mark = config_.accept_mark;
            v.mask = config_.accept_mask | SW_MARK_ESCALATE_MASK;
        }
    }

    auto& count = counts_[static_cast<std::size_t>(d.reason)];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!d.wanted_actions().empty())
        action_log_.append(event, now, d);
    else if (!observation)
        log_.append(event, now, d);
}

bool Chain::flows_read(std::uint64_t now) const {
    return shared_.flows.trusted(now, nanoseconds(config_.known_flows_age));
}

std::size_t Chain::memory_bytes() const {
    std::size_t bytes = sizeof *this + log_.memory_bytes() + action_log_.memory_bytes();
    for (const auto& decider : deciders_) bytes += decider->memory_bytes();
    return bytes;
}

void Chain::explain(const Address& address, unsigned worker, std::uint64_t now,
                    Explanation& explanation) const {
    const RawAddress source = raw_address(address);
    explanation.dry_run |= config_.dry_run;
    const std::size_t rates_before = explanation.rates.size();
    for (const auto& decider : deciders_) decider->explain(source, address.family, now, explanation);
    for (std::size_t i = rates_before; i < explanation.rates.size(); i++)
        explanation.rates[i].worker = worker;
    for (const DecisionLog* log : {&log_, &action_log_}) {
        const auto found = log->find(source, address.family, decisions_shown);
        explanation.decisions.insert(explanation.decisions.end(), found.begin(), found.end());
    }
}

Explanation why(const Address& address, std::span<const Chain* const> chains, std::uint64_t now) {
    Explanation explanation;
    explanation.address = address;
    explanation.asked = now;
    unsigned worker = 0;
    for (const Chain* chain : chains) {
        explanation.proofs.clear();  // shared: every chain says the same
        chain->explain(address, worker++, now, explanation);
    }
    std::sort(explanation.decisions.begin(), explanation.decisions.end(),
              [](const LogRecord& a, const LogRecord& b) { return a.time > b.time; });
    // Many without an action must not hide the few that had one.
    std::size_t shown[2] = {};
    std::erase_if(explanation.decisions,
                  [&shown](const LogRecord& r) { return shown[r.ticket || r.set]++ >= decisions_shown; });
    return explanation;
}

}  // namespace synward
