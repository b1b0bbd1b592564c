// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/trace_replay.h"

#include <fmt/format.h>

namespace synward {
namespace {

// The smallest that there is: it holds one connection at a time.
constexpr std::uint32_t filter_flows = 1024;
constexpr std::uint32_t log_records = 16;

}  // namespace

TraceReplay::TraceReplay(const DecideConfig& config) : config_(config), keys_(1) {
    config_.known_flows = filter_flows;
    // How old its knowledge was each entry says itself.
    config_.known_flows_age = DecideConfig::ms(0);
    config_.log_decisions = config_.log_actions = log_records;
    shared_ = std::make_unique<DecideShared>(config_, keys_);
}

Result<TraceReplay> TraceReplay::create(const DecideConfig& config, const CompiledPolicy& policy) {
    TraceReplay made(config);
    if (const auto loaded = made.shared_->services.load(policy); !loaded)
        return tl::unexpected(loaded.error());
    return made;
}

Result<const Decision*> TraceReplay::decide(const TraceEntry& entry) {
    const FlowEvent& event = entry.event;
    std::unique_ptr<Chain>& chain = chains_[entry.chain];
    if (!chain) {
        if (chains_.size() > chains_most)
            return fail(ErrorCode::config, fmt::format("more than {} chains", chains_most));
        chain = std::make_unique<Chain>(config_, *shared_, keys_);
    }
    if (event_doubt(event.kind) == SW_DOUBT_STRAY) {
        KnownFlows& flows = shared_->flows;
        // Twice, since a filter still has what the one before it had.
        for (int i = 0; i < 2; i++) {
            flows.begin();
            FlowTuple tuple{event.source, event.destination, event.source_port, event.destination_port,
                            event.family};
            // Another connection of the same source.
            if (entry.known == KnownFlow::source) tuple.source_port ^= 1;
            if (entry.known != KnownFlow::none) flows.add(tuple);
            flows.finish(entry.flows_read ? event.time : 1);
        }
    }
    chain->decide(event, event.time, *decision_);
    return decision_.get();
}

}  // namespace synward
