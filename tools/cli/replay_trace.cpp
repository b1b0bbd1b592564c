// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/replay_trace.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "lib/config.h"
#include "lib/decide/prefix.h"
#include "lib/decide/trace_replay.h"
#include "lib/host.h"
#include "lib/interface.h"
#include "lib/local_services.h"
#include "lib/policy.h"
#include "lib/reasons.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"

namespace synward::cli {
namespace {

using nlohmann::json;

const char* verdict_word(sw_verdict_kind verdict) {
    return verdict == SW_VERDICT_DROP ? "drop" : "accept";
}

json decision_json(const TracedDecision& decision) {
    return {{"verdict", verdict_word(decision.verdict)},
            {"reason", decision_reason_name(decision.reason)},
            {"actions", traced_actions(decision.actions)}};
}

std::string decision_text(const TracedDecision& decision) {
    const std::string actions = traced_actions(decision.actions);
    return fmt::format("{} {}{}", verdict_word(decision.verdict), decision_reason_name(decision.reason),
                       actions.empty() ? "" : " (" + actions + ")");
}

struct TraceCounts {
    std::uint64_t events = 0;
    std::uint64_t compared = 0;  // a recording says what was decided
    std::uint64_t different = 0;
    std::map<std::pair<std::string, DecisionReason>, std::uint64_t> ways;  // by verdict
};

void tell(const TraceParameters& parameters, const TraceEntry& entry, const Decision& decision,
          std::string_view service, bool different) {
    const TracedDecision now(decision);
    if (parameters.json) {
        const FlowEvent& e = entry.event;
        json line{{"time_us", e.time / 1000},
                  {"kind", event_kind_name(e.kind)},
                  {"source", to_address(e.source, e.family).to_string()},
                  {"source_port", e.source_port},
                  {"destination", to_address(e.destination, e.family).to_string()},
                  {"destination_port", e.destination_port},
                  {"service", service.empty() ? json() : json(service)},
                  {"decider", decider_name(decision.decider)},
                  {"different", different}};
        line.update(decision_json(now));
        line["recorded"] = entry.decided ? decision_json(*entry.decided) : json();
        fmt::print("{}\n", line.dump());
        return;
    }
    const bool noted = now.reason == DecisionReason::noted;
    fmt::print(
        "{}  {}{}{}\n", trace_line(entry.event),
        noted ? paint("noted", Colour::dim)
              : paint(decision_text(now), now.verdict == SW_VERDICT_DROP ? Colour::red : Colour::green),
        different
            ? paint(fmt::format("; recorded: {}", entry.decided ? decision_text(*entry.decided) : "noted"),
                    Colour::yellow)
            : "",
        parameters.verbose ? fmt::format("\n        {}", decision_reason_text(now.reason)) : "");
}

void summarize(const TraceParameters& parameters, const TraceCounts& counts) {
    if (parameters.json) {
        json ways = json::array();
        for (const auto& [way, count] : counts.ways)
            ways.push_back(
                {{"verdict", way.first}, {"reason", decision_reason_name(way.second)}, {"events", count}});
        print_json_line({{"summary",
                          {{"file", parameters.file},
                           {"config", parameters.config},
                           {"events", counts.events},
                           {"compared", counts.compared},
                           {"different", counts.different},
                           {"ways", std::move(ways)}}}});
        return;
    }
    if (!parameters.summary) fmt::print("\n");
    fmt::print("{}: {} events, decided by the deciders of {}\n", parameters.file, counts.events,
               parameters.config);
    Table table({{"VERDICT"}, {"REASON"}, {"EVENTS", Table::Align::right}, {""}});
    for (const auto& [way, count] : counts.ways)
        table.add({way.first, std::string(decision_reason_name(way.second)), std::to_string(count),
                   std::string(decision_reason_text(way.second))});
    if (!table.empty()) fmt::print("{}", table.text(2));
    if (counts.compared)
        fmt::print("  {} of {} were decided otherwise when they were recorded\n", counts.different,
                   counts.compared);
}

Result<CompiledPolicy> policy_of(Config& config, const TraceParameters& parameters) {
    Interface interface { .name = "lo" };
    if (!parameters.device.empty()) {
        auto found = find_interface(parameters.device);
        if (!found) return tl::unexpected(found.error());
        interface = std::move(*found);
    } else if (has_local(config.services)) {
        return fail(ErrorCode::usage,
                    "the config protects what is local on an interface (address = [\"local\"]); say with "
                    "--dev which one");
    }
    if (auto done = read_local(config.services, interface.name); !done) return tl::unexpected(done.error());
    return compile_policy(config, read_host(interface.name), interface);
}

}  // namespace

Result<void> replay_trace(ReplayInput& input, const TraceParameters& parameters) {
    if (parameters.config.empty())
        return fail(ErrorCode::usage,
                    fmt::format("'{}' is no capture; of a trace of events, say with --config which file "
                                "has the services and [decide]",
                                parameters.file));
    auto config = load_config(parameters.config);
    if (!config) return tl::unexpected(config.error());
    const auto policy = policy_of(*config, parameters);
    if (!policy) return tl::unexpected(policy.error());
    const auto stream = input.stream();
    if (!stream) return tl::unexpected(stream.error());
    const auto entries = read_recording(stream->get(), parameters.file);
    if (!entries) return tl::unexpected(entries.error());
    auto replay = TraceReplay::create(config->decide, *policy);
    if (!replay) return tl::unexpected(replay.error());
    TraceCounts counts;
    for (const TraceEntry& entry : *entries) {
        if (parameters.limit && counts.events == parameters.limit) break;
        const auto decided = replay->decide(entry);
        if (!decided) return tl::unexpected(decided.error());
        const Decision& decision = **decided;
        const bool noted = decision.reason == DecisionReason::noted;
        counts.events++;
        counts.ways[{noted ? "-" : verdict_word(decision.verdict.kind), decision.reason}]++;
        const bool different = entry.decided && *entry.decided != TracedDecision(decision);
        if (entry.decided) counts.compared++;
        if (different) counts.different++;
        if (parameters.summary ||
            !(parameters.reasons.empty() || parameters.reasons.contains(entry.event.reason)))
            continue;
        tell(parameters, entry, decision,
             decision.service ? std::string_view(policy->services[decision.service].name) : "", different);
    }
    summarize(parameters, counts);
    return {};
}

}  // namespace synward::cli
