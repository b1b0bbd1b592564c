// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/explanation.h"

#include <fmt/format.h>

#include "lib/decide/prefix.h"

namespace synward {
namespace {

using nlohmann::json;

std::string_view flows_word(Explanation::Flows flows) {
    switch (flows) {
        case Explanation::Flows::none:
            return "none";
        case Explanation::Flows::some:
            return "some";
        case Explanation::Flows::unread:
            break;
    }
    return "unread";
}

std::string_view verdict_word(const LogRecord& r) {
    if (r.kind == EventKind::handshake) return r.dry_run ? "left alone" : "denied";
    return r.dropped ? "dropped" : "accepted";
}

double seconds_before(std::uint64_t asked, std::uint64_t time) {
    return asked > time ? static_cast<double>(asked - time) / 1e9 : 0.0;
}

std::string action_text(const LogRecord& r) {
    const std::string_view would = r.dry_run ? "would have been " : "";
    if (r.set) return fmt::format("; {}put into the deny set for {} s", would, r.lifetime_ms / 1000.0);
    if (r.ticket)
        return fmt::format("; {}ticket for the {}: {} for {} s", r.dry_run ? "would have given a " : "",
                           r.ticket_shape ? "shape" : "source", r.ticket_drop ? "drop" : "pass",
                           r.lifetime_ms / 1000.0);
    return {};
}

json record_json(const Explanation& e, const LogRecord& r) {
    json object = {{"ago_seconds", seconds_before(e.asked, r.time)},
                   {"source", to_address(r.source, r.family).to_string()},
                   {"source_port", r.source_port},
                   {"destination_port", r.destination_port},
                   {"kind", event_kind_name(r.kind)},
                   {"service", r.service},
                   {"decider", decider_name(r.decider)},
                   {"reason", decision_reason_name(r.reason)},
                   {"text", decision_reason_text(r.reason)},
                   {"opinion", opinion_name(r.wanted)},
                   {"verdict", r.dropped ? "drop" : "accept"},
                   {"dry_run", r.dry_run}};
    if (r.ticket)
        object["ticket"] = {{"by", r.ticket_shape ? "shape" : "source"},
                            {"action", r.ticket_drop ? "drop" : "pass"},
                            {"lifetime_ms", r.lifetime_ms}};
    if (r.set) object["set"] = {{"lifetime_ms", r.lifetime_ms}};
    return object;
}

}  // namespace

json explanation_json(const Explanation& e) {
    json proofs = json::array();
    for (const auto& p : e.proofs)
        proofs.push_back({{"prefix", p.prefix.to_string()},
                          {"handshakes", p.handshakes},
                          {"ago_seconds", p.ago},
                          {"fresh", p.fresh}});
    json rates = json::array();
    for (const auto& r : e.rates) {
        json rate = {{"decider", decider_name(r.decider)},
                     {"worker", r.worker},
                     {"what", r.what},
                     {"prefix", r.prefix.to_string()},
                     {"ahead", r.ahead},
                     {"per_second", r.limit.per_second},
                     {"burst", r.limit.burst},
                     {"over", r.over}};
        if (r.ticket_ago) rate["ticket_ago_seconds"] = *r.ticket_ago;
        rates.push_back(std::move(rate));
    }
    json decisions = json::array();
    for (const LogRecord& r : e.decisions) decisions.push_back(record_json(e, r));
    return {{"address", e.address.to_string()}, {"dry_run", e.dry_run},
            {"handshakes", std::move(proofs)},  {"known_flows", flows_word(e.flows)},
            {"rates", std::move(rates)},        {"decisions", std::move(decisions)}};
}

std::string explanation_text(const Explanation& e) {
    std::string text = e.address.to_string() + (e.dry_run ? " (dry run: nothing is acted on)\n" : "\n");
    auto line = [&text](fmt::string_view format, const auto&... args) {
        text += "  " + fmt::vformat(format, fmt::make_format_args(args...)) + "\n";
    };
    if (e.proofs.empty()) line("no completed handshake is remembered");
    for (const auto& p : e.proofs)
        line("{}: {} handshake{} completed, the last {:.0f} s ago{}", p.prefix.to_string(), p.handshakes,
             p.handshakes == 1 ? "" : "s", p.ago, p.fresh ? "" : ": too long ago to count");
    switch (e.flows) {
        case Explanation::Flows::unread:
            line("the kernel's connections have not been read");
            break;
        case Explanation::Flows::none:
            line("the kernel has no connection with it");
            break;
        case Explanation::Flows::some:
            line("the kernel has, or lately had, connections with it");
            break;
    }
    for (const auto& r : e.rates) {
        line("{}: {} ({}, worker {}): {:.1f} ahead of {}/s, {} allowed{}{}", r.prefix.to_string(), r.what,
             decider_name(r.decider), r.worker, r.ahead, r.limit.per_second, r.limit.burst,
             r.over ? ": over its limit" : "",
             r.ticket_ago ? fmt::format("; ticket {:.1f} s ago", *r.ticket_ago) : std::string());
    }
    if (e.decisions.empty()) line("no decision on it is remembered");
    for (const LogRecord& r : e.decisions)
        line("{:.1f} s ago: {} from port {} to {}: {} by {}: {}{}", seconds_before(e.asked, r.time),
             event_kind_name(r.kind), r.source_port, r.destination_port, verdict_word(r),
             decider_name(r.decider), decision_reason_text(r.reason), action_text(r));
    return text;
}

}  // namespace synward
