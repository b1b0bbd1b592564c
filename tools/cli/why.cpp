// SPDX-License-Identifier: GPL-2.0-or-later
// synward why: what is known and was decided about a source. The program's part
// comes from its maps, the deciders' from synwardd.
#include <fmt/format.h>

#include <memory>

#include "lib/decide/decision.h"
#include "lib/instance.h"
#include "lib/json.h"
#include "lib/names.h"
#include "tools/cli/config_file.h"
#include "tools/cli/context.h"
#include "tools/cli/control_client.h"
#include "tools/cli/output.h"
#include "tools/cli/set_scene.h"
#include "tools/cli/set_trace.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct WhyParameters {
    std::string address;
    std::vector<std::string> devices;
    std::string config;
};

// What sets say of it; null, with the problem, where that cannot be known.
nlohmann::json sets_part(const WhyParameters& parameters, const Context& context, const Address& address,
                         std::string& problem) {
    const auto scene = SetScene::open(parameters.config, context);
    auto reader = scene ? SetReader::open() : tl::unexpected(scene.error());
    auto trace =
        reader ? trace_sets(*reader, scene->config().classify, address) : tl::unexpected(reader.error());
    if (trace) return std::move(*trace);
    // A kernel without ipsets has no entry.
    if (trace.error().code == ErrorCode::unsupported) return nlohmann::json::array();
    problem = trace.error().message;
    return {};
}

// Where the entry for a port of a service decides.
Result<nlohmann::json> ports_part(const Instance& instance, const CompiledPolicy& policy,
                                  const Address& address) {
    std::vector<std::uint16_t> protected_ports;
    for (unsigned port = 1; port < policy.ports.size(); port++)
        if (policy.ports[port]) protected_ports.push_back(static_cast<std::uint16_t>(port));
    const auto entries = instance.find_source_ports(address, protected_ports);
    if (!entries) return tl::unexpected(entries.error());
    nlohmann::json list = nlohmann::json::array();
    for (const SourceEntry& entry : *entries)
        list.push_back(
            {{"port", entry.port}, {"prefix", entry.prefix.to_string()}, {"fate", fate_name(entry.fate)}});
    return list;
}

Result<nlohmann::json> kernel_part(const Instance& instance, const Address& address) {
    const auto policy = instance.read_policy();
    if (!policy) return tl::unexpected(policy.error());
    const auto tickets = instance.tickets_of(address);
    if (!tickets) return tl::unexpected(tickets.error());
    nlohmann::json list = nlohmann::json::array();
    for (const TicketView& ticket : *tickets)
        list.push_back({{"service", policy->services[ticket.service].name},
                        {"doubt", doubt_name(ticket.doubt)},
                        {"action", action_name(ticket.action)},
                        {"decider", decider_name(static_cast<DeciderId>(ticket.decider))},
                        {"left_ms", ticket.left.count()}});
    const auto entry = instance.find_source(address);
    if (!entry) return tl::unexpected(entry.error());
    auto ports = ports_part(instance, *policy, address);
    if (!ports) return tl::unexpected(ports.error());
    return nlohmann::json{{"interface", instance.interface().name},
                          {"set", *entry ? nlohmann::json{{"prefix", (*entry)->prefix.to_string()},
                                                          {"fate", fate_name((*entry)->fate)}}
                                         : nlohmann::json()},
                          {"ports", std::move(*ports)},
                          {"tickets", std::move(list)}};
}

std::string_view fate_text(std::string_view fate) {
    if (fate == fate_name(SW_FATE_DENY)) return "denied";
    if (fate == fate_name(SW_FATE_ALLOW)) return "allowed without a check";
    return "checked as everybody is";
}

void print_kernel_part(const nlohmann::json& part) {
    const std::string device = part["interface"];
    if (!part["set"].is_null())
        fmt::print("{}: {} by the entry {}\n", device, fate_text(part["set"]["fate"].get<std::string>()),
                   part["set"]["prefix"].get<std::string>());
    // Neighbours that share their entry are told together.
    const auto& ports = part["ports"];
    for (std::size_t i = 0; i < ports.size();) {
        std::size_t end = i + 1;
        while (end < ports.size() && ports[end]["port"] == ports[end - 1]["port"].get<unsigned>() + 1 &&
               ports[end]["prefix"] == ports[i]["prefix"] && ports[end]["fate"] == ports[i]["fate"])
            end++;
        const auto first = ports[i]["port"].get<unsigned>(), last = ports[end - 1]["port"].get<unsigned>();
        fmt::print("{}: at port {}: {} by the entry {} for that port\n", device,
                   first == last ? std::to_string(first) : fmt::format("{}-{}", first, last),
                   fate_text(ports[i]["fate"].get<std::string>()), ports[i]["prefix"].get<std::string>());
        i = end;
    }
    for (const auto& ticket : part["tickets"])
        fmt::print("{}: service {}: {} of this source {} for another {:.1f} s, decided by {}\n", device,
                   ticket["service"].get<std::string>(), ticket["doubt"].get<std::string>(),
                   ticket["action"] == "drop" ? "are dropped" : "pass",
                   ticket["left_ms"].get<double>() / 1000, ticket["decider"].get<std::string>());
    if (part["set"].is_null() && ports.empty() && part["tickets"].empty())
        fmt::print("{}: the program holds nothing about it\n", device);
}

Result<void> run_why(const WhyParameters& parameters, const Context& context) {
    const auto address = Address::parse(parameters.address);
    if (!address)
        return fail(
            ErrorCode::usage,
            fmt::format("'{}' is no IP address; give one as 192.0.2.7 or 2001:db8::7", parameters.address));
    std::string sets_problem;
    const nlohmann::json sets = sets_part(parameters, context, *address, sets_problem);
    auto instances = find_instances(parameters.devices);
    if (!instances) {
        // Sets act without the program too, by the connection's mark.
        const bool tell =
            !sets.empty() && parameters.devices.empty() && instances.error().code == ErrorCode::missing;
        if (!tell) return tl::unexpected(instances.error());
        instances.emplace();
    }
    nlohmann::json interfaces = nlohmann::json::array();
    for (const Instance& instance : *instances) {
        auto part = kernel_part(instance, *address);
        if (!part) return tl::unexpected(part.error());
        interfaces.push_back(std::move(*part));
    }
    nlohmann::json explanation;
    std::string text;
    std::string problem = "synwardd does not run";
    if (auto daemon = ControlClient::connect(control_path(context.socket))) {
        auto answer = daemon->request({{"command", "why"}, {"address", parameters.address}});
        if (answer) {
            explanation = (*answer)["explanation"];
            text = (*answer)["text"].get<std::string>();
        } else {
            problem = answer.error().message;
        }
    }
    if (context.json) {
        print_json(
            {{"address", address->to_string()},
             {"interfaces", std::move(interfaces)},
             {"sets", sets},
             {"sets_problem", sets_problem.empty() ? nlohmann::json() : nlohmann::json(sets_problem)},
             {"deciders", explanation},
             {"deciders_problem", explanation.is_null() ? nlohmann::json(problem) : nlohmann::json()}});
        return {};
    }
    for (const auto& part : interfaces) print_kernel_part(part);
    if (sets.is_null())
        fmt::print("what sets say of it is not known here: {}\n", sets_problem);
    else
        fmt::print("{}", trace_text(sets));
    if (explanation.is_null())
        fmt::print("what the deciders know is not known here: {}\n", problem);
    else
        fmt::print("{}", text);
    return {};
}

}  // namespace

void add_why(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<WhyParameters>();
    CLI::App* command = add_command(app, context, "why", "What is known and was decided about a source",
                                    "synward why 203.0.113.7");
    command->add_option("ADDRESS", parameters->address, "The source")->required()->type_name("ADDRESS");
    add_device_option(command, parameters->devices);
    add_set_config(command, parameters->config);
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_why(*parameters, context); }; });
}

}  // namespace synward::cli
