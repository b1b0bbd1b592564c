// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/requests.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "daemon/daemon.h"
#include "lib/json.h"
#include "lib/metrics.h"
#include "lib/names.h"

namespace synward {
namespace {

using nlohmann::json;

// An absent field is an empty string.
Result<std::string> text_field(const json& request, const char* key) {
    const auto found = request.find(key);
    if (found == request.end() || found->is_null()) return std::string();
    if (!found->is_string()) return fail(ErrorCode::usage, fmt::format("\"{}\" is to be a string", key));
    return found->get<std::string>();
}

// The guards that the request is about.
Result<std::vector<Guard*>> chosen(Daemon& daemon, const json& request) {
    const auto name = text_field(request, "interface");
    if (!name) return tl::unexpected(name.error());
    std::vector<Guard*> guards;
    for (const auto& guard : daemon.guards())
        if (name->empty() || guard->name() == *name) guards.push_back(guard.get());
    if (guards.empty() && !name->empty())
        return fail(ErrorCode::missing, fmt::format("the config of synwardd does not name {}", *name));
    return guards;
}

json daemon_json(const Daemon& daemon) {
    json interfaces = json::array();
    for (const auto& guard : daemon.guards()) {
        json entry{{"interface", guard->name()}, {"state", guard_state_name(guard->state())}};
        if (!guard->problem().empty()) entry["problem"] = guard->problem();
        if (!guard->notes().empty()) entry["notes"] = guard->notes();
        interfaces.push_back(std::move(entry));
    }
    return {{"pid", getpid()},
            {"version", daemon.version()},
            {"config", daemon.config_path()},
            {"uptime", daemon.uptime().count()},
            {"metrics", daemon.metrics() ? json(daemon.metrics()->listen().to_string()) : json()},
            {"metrics_problem", daemon.metrics_problem().empty() ? json() : json(daemon.metrics_problem())},
            {"reload_error", daemon.reload_error().empty() ? json() : json(daemon.reload_error())},
            {"interfaces", std::move(interfaces)}};
}

// A set that is there and cannot be read is not waited for: the mirror tells what is wrong with it.
void await_what_is_absent(json& classification, const json& mirror) {
    if (!classification.contains("waited_for")) return;
    json& waited = classification["waited_for"];
    for (const json& set : mirror["sets"])
        if (set.contains("problem"))
            waited.erase(std::remove(waited.begin(), waited.end(), set["name"]), waited.end());
}

Result<json> status(Daemon& daemon, const json& request) {
    const auto guards = chosen(daemon, request);
    if (!guards) return tl::unexpected(guards.error());
    json interfaces = json::array();
    for (const Guard* guard : *guards) {
        if (!guard->instance()) continue;
        auto one = status_json(*guard->instance());
        if (!one) return tl::unexpected(one.error());
        interfaces.push_back(std::move(*one));
    }
    json classification = daemon.classifier().status();
    json mirror = daemon.mirror().status();
    await_what_is_absent(classification, mirror);
    return json{{"daemon", daemon_json(daemon)},
                {"escalation", daemon.escalation().status()},
                {"classification", std::move(classification)},
                {"mirror", std::move(mirror)},
                {"interfaces", std::move(interfaces)},
                {"findings", findings_json(daemon.findings())}};
}

Result<json> stats(Daemon& daemon, const json& request) {
    const auto guards = chosen(daemon, request);
    if (!guards) return tl::unexpected(guards.error());
    const auto all = request.find("all");
    const bool every = all != request.end() && all->is_boolean() && all->get<bool>();
    json interfaces = json::array();
    for (const Guard* guard : *guards) {
        if (!guard->instance()) continue;
        const auto read = guard->instance()->stats();
        if (!read) return tl::unexpected(read.error());
        json one = stats_json(*read, every);
        one["interface"] = guard->name();
        interfaces.push_back(std::move(one));
    }
    return json{{"interfaces", std::move(interfaces)}, {"module", module_stats_json(every)}};
}

Result<json> mode(Daemon& daemon, const json& request) {
    const auto guards = chosen(daemon, request);
    const auto service = text_field(request, "service");
    const auto word = text_field(request, "mode");
    if (!guards) return tl::unexpected(guards.error());
    if (!service) return tl::unexpected(service.error());
    if (!word) return tl::unexpected(word.error());
    const auto wanted = parse_mode(*word);
    if (!wanted)
        return fail(ErrorCode::usage,
                    fmt::format("there is no mode '{}'; there are off, monitor, auto, cookie", *word));
    json changed = json::array();
    Error first;
    for (Guard* guard : *guards) {
        const auto done = guard->set_mode(*service, *wanted);
        if (done)
            changed.push_back(guard->name());
        else if (first.message.empty())
            first = done.error();
    }
    // A service need not be on every interface.
    if (changed.empty() && !first.message.empty()) return tl::unexpected(first);
    return json{{"interfaces", std::move(changed)}};
}

// One that comes too soon is no error: the answer tells when the next may come.
Result<json> rotate(Daemon& daemon, const json& request) {
    const auto guards = chosen(daemon, request);
    if (!guards) return tl::unexpected(guards.error());
    json interfaces = json::array();
    Error first;
    for (Guard* guard : *guards) {
        const auto rotation = guard->rotate_keys();
        if (!rotation) {
            if (first.message.empty()) first = rotation.error();
            continue;
        }
        if (rotation->rotated)
            spdlog::info("{}: rotated the cookie keys, by the control socket", guard->name());
        json one = rotation_json(*rotation);
        one["interface"] = guard->name();
        interfaces.push_back(std::move(one));
    }
    if (interfaces.empty() && !first.message.empty()) return tl::unexpected(first);
    return json{{"interfaces", std::move(interfaces)}};
}

Result<json> learn(Daemon& daemon, const json& request) {
    const auto guards = chosen(daemon, request);
    if (!guards) return tl::unexpected(guards.error());
    for (Guard* guard : *guards) guard->learn(false);
    return json::object();
}

Result<json> why(Daemon& daemon, const json& request) {
    const auto text = text_field(request, "address");
    if (!text) return tl::unexpected(text.error());
    const auto address = Address::parse(*text);
    if (!address) return fail(ErrorCode::usage, fmt::format("'{}' is no IP address", *text));
    const auto explanation = daemon.escalation().why(*address);
    if (!explanation) return tl::unexpected(explanation.error());
    return json{{"explanation", explanation_json(*explanation)}, {"text", explanation_text(*explanation)}};
}

// Of one that the `ipset` library or command has changed. A set that is not bound is nobody's.
Result<json> set_changed(Daemon& daemon, const json& request) {
    const auto name = text_field(request, "name");
    if (!name) return tl::unexpected(name.error());
    return json{{"number", daemon.mirror().report(*name)}};
}

Result<json> reload(Daemon& daemon, const json&) {
    if (auto done = daemon.reload(); !done) return tl::unexpected(done.error());
    return json::object();
}

}  // namespace

Result<json> answer_request(Daemon& daemon, const json& request) {
    struct Command {
        const char* name;
        Result<json> (*run)(Daemon&, const json&);
    };
    static constexpr Command commands[] = {{"status", status},   {"stats", stats},  {"mode", mode},
                                           {"rotate", rotate},   {"learn", learn},  {"why", why},
                                           {"set", set_changed}, {"reload", reload}};
    const auto& name = request["command"].get_ref<const std::string&>();
    for (const Command& command : commands)
        if (name == command.name) return command.run(daemon, request);
    return fail(ErrorCode::usage, fmt::format("there is no command '{}'; there are status, stats, events, "
                                              "reload, mode, rotate, learn, why and set",
                                              name.substr(0, 40)));
}

Result<std::string> metrics_of(Daemon& daemon) {
    const auto state = status(daemon, json::object());
    if (!state) return tl::unexpected(state.error());
    const auto counted = stats(daemon, json{{"all", true}});
    if (!counted) return tl::unexpected(counted.error());
    return metrics_text(metric_families(*state, *counted));
}

}  // namespace synward
