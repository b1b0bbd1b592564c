// SPDX-License-Identifier: GPL-2.0-or-later
// Traces: whatever is accepted is written and read back the same, and no
// sequence of events leads the chain astray.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/decide/chain.h"
#include "lib/decide/trace.h"

namespace {

using namespace synward;

void check(bool good) {
    if (!good) std::abort();
}

void check_decision(const FlowEvent& event, const Decision& d) {
    check(d.verdict.id == event.id);
    check(d.verdict.kind == SW_VERDICT_ACCEPT || d.verdict.kind == SW_VERDICT_DROP);
    check(d.reason < DecisionReason::count && d.decider < DeciderId::count);
    check(d.wanted == Opinion::none || d.decider != DeciderId::chain);
    for (const Action& a : d.actions()) {
        const bool ticket = a.kind == Action::Kind::ticket;
        check(a.kind == Action::Kind::report || a.lifetime_ms);
        // What may be forged must not lock its source out of connecting.
        if (ticket && a.key.doubt == SW_DOUBT_SYN) check(a.ticket_action == SW_ACTION_PASS);
        if (a.kind == Action::Kind::set) check(event.kind == EventKind::handshake);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto entries = parse_recording(text, "fuzz");
    if (!entries) {
        check(entries.error().message.starts_with("fuzz:"));
        return 0;
    }
    std::string written(trace_header);
    for (const TraceEntry& e : *entries) written += "\n" + trace_line(e);
    const auto again = parse_recording(written, "again");
    check(again && again->size() == entries->size());
    for (std::size_t i = 0; i < entries->size(); i++)
        check(trace_line((*entries)[i]) == trace_line((*again)[i]));
    const auto events = parse_trace(text, "fuzz");
    check(events && events->size() == entries->size());

    // Small tables, so that they are full at once. One chain for all inputs:
    // each begins in the state that the others left, at a time of its own.
    static const DecideConfig config = [] {
        DecideConfig c;
        c.proven_sources = c.proven_prefixes = c.shapes = c.rate_sources = 64;
        c.known_flows = 1024;
        c.log_decisions = c.log_actions = 16;
        c.host_rate = c.net_rate = c.connections = {2, 3};
        return c;
    }();
    static KeySource keys(1);
    static DecideShared shared(config, keys);
    static Chain chain(config, shared, keys);
    Decision decision;
    for (const FlowEvent& e : *events) {
        if (e.kind == EventKind::reset) {
            shared.flows.begin();
            shared.flows.finish(e.time);
        }
        chain.decide(e, e.time, decision);
        check_decision(e, decision);
    }
    if (!events->empty()) {
        const Chain* chains[] = {&chain};
        const FlowEvent& last = events->back();
        const auto explanation = why(to_address(last.source, last.family), chains, last.time);
        check(!explanation_text(explanation).empty() && explanation_json(explanation).is_object());
    }
    return 0;
}
