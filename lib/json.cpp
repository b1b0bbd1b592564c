// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/json.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "lib/escalation/module.h"
#include "lib/names.h"
#include "lib/reasons.h"

namespace synward {
namespace {

using nlohmann::json;

json counters_json(const Counters& packets, bool all) {
    json object = json::object();
    for (unsigned i = 0; i < packets.size(); i++)
        if (all || packets[i]) object[std::string(reasons[i].name)] = packets[i];
    return object;
}

json families_json(const __be16 (&values)[SW_FAMILIES]) {
    return {{"ipv4", ntohs(values[SW_IPV4])}, {"ipv6", ntohs(values[SW_IPV6])}};
}

json sources_json(const Instance& instance) {
    const auto counts = instance.count_sources();
    return {{"deny", counts[SW_FATE_DENY]},
            {"allow", counts[SW_FATE_ALLOW]},
            {"check", counts[SW_FATE_CHECK]},
            {"capacity", instance.source_capacity()}};
}

// Of the whole interface, from what one CPU may do.
json limit_json(const sw_rate_limit& limit, unsigned hz) {
    if (!limit.tolerance || !limit.interval) return nullptr;
    return (static_cast<std::uint64_t>(hz) << SW_TICK_SHIFT) / limit.interval;
}

}  // namespace

json stats_json(const Stats& stats, bool all) {
    json services = json::array();
    for (const ServiceStats& s : stats.services)
        services.push_back({{"index", s.index},
                            {"name", s.index ? json(s.name) : json(nullptr)},
                            {"packets", counters_json(s.packets, all)}});
    return {{"total", counters_json(stats.total(), all)}, {"services", std::move(services)}};
}

json module_stats_json(bool all) {
    if (!module_loaded()) return nullptr;
    auto control = ModuleControl::open();
    const auto counted = control ? control->counters() : tl::unexpected(control.error());
    if (!counted) return nullptr;
    json object = json::object();
    for (unsigned i = 0; i < counted->size(); i++)
        if ((*counted)[i] || (all && reasons[i].action == ReasonAction::RING))
            object[std::string(reasons[i].name)] = (*counted)[i];
    return object;
}

json services_json(const CompiledPolicy& policy, const std::vector<ServiceState>& states) {
    json list = json::array();
    for (const ServiceView& view : view_services(policy)) {
        const sw_service& s = view.service;
        json addresses = json::array();
        for (const auto& [address, port] : view.addresses)
            addresses.push_back({{"address", address.to_string()}, {"port", port}});
        json service = {
            {"index", view.index},
            {"name", view.name},
            {"mode", mode_name(s.mode)},
            {"delivery", delivery_name(s.delivery)},
            {"ports", view.ports},
            {"addresses", std::move(addresses)},
            {"local", s.local != 0},
            {"arm_rate", view.arm_rate},
            {"disarm_rate", view.disarm_rate},
            {"hold_ms", view.hold.count()},
            {"stray", action_name(s.stray)},
            {"fragment", action_name(s.fragment)},
            {"malformed", action_name(s.malformed)},
            {"odd_syn", s.odd_syn == SW_ACTION_PASS ? "answer" : action_name(s.odd_syn)},
            {"escalate_default", action_name(s.escalate_default)},
            {"mss", families_json(s.mss)},
            {"wscale", s.options & SW_OPTION_WSCALE ? json(s.wscale) : json(nullptr)},
            {"sack", (s.options & SW_OPTION_SACK) != 0},
            {"timestamps", (s.options & SW_OPTION_TIMESTAMP) != 0},
            {"ecn", (s.options & SW_OPTION_ECN) != 0},
        };
        if (view.index < states.size()) {
            const ServiceState& state = states[view.index];
            service["armed"] = state.armed;
            service["armings"] = state.armings;
            service["filter_complete"] = state.trusted;
            service["syn_rate"] = state.syn_rate;
            service["peak_syn_rate"] = state.peak_rate;
        }
        list.push_back(std::move(service));
    }
    return list;
}

Result<json> status_json(const Instance& instance) {
    const auto policy = instance.read_policy();
    if (!policy) return tl::unexpected(policy.error());
    const auto states = instance.states();
    if (!states) return tl::unexpected(states.error());
    const auto memory = instance.memory();
    if (!memory) return tl::unexpected(memory.error());
    const sw_config& c = policy->config;
    const Attachment& attached = instance.attachment();
    json status = {
        {"interface", instance.interface().name},
        {"ifindex", instance.interface().index},
        {"program_id", attached.program_id},
        {"attach_mode", attach_mode_name(attached.mode)},
        {"adopted", attached.adopted},
        {"tc", attached.tc},
        {"policy", c.abi != 0},
        {"memory_bytes", *memory},
        {"services", services_json(*policy, *states)},
        {"sources", sources_json(instance)},
    };
    const std::string slow = generic_text(attached, instance.interface());
    status["slow"] = slow.empty() ? json() : json(slow);
    if (c.abi) {
        status["gateway"] = is_gateway(*policy);
        status["fragment"] = action_name(c.fragment);
        status["malformed"] = action_name(c.malformed);
        status["metadata"] = c.no_metadata == 0;
        status["reply_rate_per_cpu"] = limit_json(c.reply, c.hz);
        status["prefix_rate_per_cpu"] = limit_json(c.prefix, c.hz);
        status["epoch_seconds"] = c.hz ? static_cast<double>(1u << c.epoch_shift) / c.hz : 0.0;
    }
    return status;
}

json rotation_json(const Rotation& rotation) {
    return {{"rotated", rotation.rotated},
            {"begins_in_seconds", rotation.times.begins.count()},
            {"replaceable_in_seconds", rotation.times.replaceable.count()}};
}

json event_json(const Event& event, const CompiledPolicy* policy) {
    json object = {
        {"time_ns", event.time.count()}, {"event", event_name(event.type)}, {"service", event.service}};
    if (policy && event.service < SW_SERVICES && policy->services[event.service].name[0])
        object["name"] = policy->services[event.service].name;
    if (is_arming(event.type)) {
        object["syn_rate"] = event.rate;
        return object;
    }
    if (event.type == SW_EVENT_SAMPLE) object["reason"] = reason_name(event.reason);
    object["source"] = event.source.to_string();
    object["source_port"] = event.source_port;
    object["destination"] = event.destination.to_string();
    object["destination_port"] = event.destination_port;
    return object;
}

json findings_json(const std::vector<Finding>& findings) {
    json list = json::array();
    for (const Finding& f : findings)
        list.push_back({{"severity", severity_name(f.severity)},
                        {"subject", f.subject},
                        {"text", f.text},
                        {"fix", f.fix}});
    return list;
}

}  // namespace synward
