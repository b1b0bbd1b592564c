// SPDX-License-Identifier: GPL-2.0-or-later
// synward status: what is loaded, what it protects, and how the daemon is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <memory>
#include <set>

#include "lib/escalation/module.h"
#include "lib/host.h"
#include "lib/json.h"
#include "lib/preflight.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/findings.h"
#include "tools/cli/live_config.h"
#include "tools/cli/output.h"
#include "tools/cli/status_more.h"
#include "tools/cli/table.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

using nlohmann::json;

std::string places_text(const json& service) {
    // There may be thousands.
    if (service.value("local", false)) {
        std::set<std::uint16_t> ports;
        std::set<std::string> addresses;
        for (const auto& place : service["addresses"]) {
            ports.insert(place["port"].get<std::uint16_t>());
            addresses.insert(place["address"].get<std::string>());
        }
        return fmt::format("{}/local ({})", ports_text({ports.begin(), ports.end()}), addresses.size());
    }
    std::string text = ports_text(service["ports"].get<std::vector<std::uint16_t>>());
    for (const auto& place : service["addresses"])
        text += fmt::format("{}{}/{}", text.empty() ? "" : " ", place["port"].get<unsigned>(),
                            place["address"].get<std::string>());
    return text;
}

Table::Cell state_cell(const json& service) {
    const std::string mode = service["mode"];
    if (mode == "off") return {"off", Colour::dim};
    if (!service.value("armed", false)) return "idle";
    if (mode == "monitor") return {"would arm", Colour::yellow};
    return {"armed", mode == "auto" ? Colour::yellow : Colour::green};
}

std::string limit_text(const json& per_cpu) {
    return per_cpu.is_null() ? "none" : fmt::format("{}/s of a CPU", rate_text(per_cpu.get<double>()));
}

void print_services(const json& services) {
    Table table({{"SERVICE"},
                 {"PORT"},
                 {"MODE"},
                 {"DELIVERY"},
                 {"STATE"},
                 {"SYN/s", Table::Align::right},
                 {"ARMED", Table::Align::right},
                 {"STRAY"}});
    for (const auto& s : services)
        table.add({s["name"].get<std::string>(), places_text(s), s["mode"].get<std::string>(),
                   s["delivery"].get<std::string>(), state_cell(s), rate_text(s.value("syn_rate", 0.0)),
                   fmt::format("{}x", s.value("armings", 0u)), s["stray"].get<std::string>()});
    fmt::print("{}", table.text(2));
}

void print_interface(const json& one) {
    fmt::print("{}: {} mode, program {}, {}, maps of at most {}\n",
               paint(one["interface"].get<std::string>(), Colour::bold),
               one["attach_mode"].get<std::string>(), one["program_id"].get<unsigned>(),
               one["tc"].get<bool>() ? "tc filter"
                                     : paint("no tc filter (`synward load` puts it there)", Colour::red),
               bytes_text(one["memory_bytes"].get<std::uint64_t>()));
    if (const auto& slow = one["slow"]; slow.is_string())
        fmt::print("  {}\n", paint(slow.get<std::string>(), Colour::yellow));
    if (!one["policy"].get<bool>()) {
        fmt::print("  no policy: everything passes (synward protect PORT)\n");
        return;
    }
    fmt::print("  replies: limit {}, to one prefix {}{}\n", limit_text(one["reply_rate_per_cpu"]),
               limit_text(one["prefix_rate_per_cpu"]), one["gateway"].get<bool>() ? "; gateway" : "");
    if (!one["metadata"].get<bool>())
        fmt::print(
            "  the driver carries no metadata from XDP to tc: tc finds handshakes in the flow table, and "
            "nothing is escalated\n");
    if (const auto& sources = one["sources"]; sources["deny"] != 0 || sources["allow"] != 0)
        fmt::print("  sources: {} denied, {} allowed\n", sources["deny"].get<std::uint32_t>(),
                   sources["allow"].get<std::uint32_t>());
    if (one["services"].empty())
        fmt::print("  no service: everything passes (synward protect PORT)\n");
    else
        print_services(one["services"]);
    for (const auto& note : one["notes"]) fmt::print("  {}\n", note.get<std::string>());
}

void print_daemon(const json& daemon) {
    if (daemon.is_null()) {
        fmt::print("synwardd: not running; the policy above is enforced all the same\n");
        return;
    }
    fmt::print("synwardd: running for {}, pid {}, config {}\n",
               seconds_text(daemon["uptime"].get<std::uint64_t>()), daemon["pid"].get<int>(),
               daemon["config"].get<std::string>());
    if (const auto& error = daemon["reload_error"]; error.is_string())
        fmt::print("  {}: {}\n", paint("the last reload failed, the old policy is in force", Colour::red),
                   error.get<std::string>());
    if (const auto where = daemon.value("metrics", json()); where.is_string())
        fmt::print("  metrics for Prometheus at http://{}/metrics\n", where.get<std::string>());
    if (const auto problem = daemon.value("metrics_problem", json()); problem.is_string())
        fmt::print("  {}\n", paint(problem.get<std::string>(), Colour::red));
    for (const auto& entry : daemon["interfaces"])
        if (entry["state"] != "protecting")
            fmt::print("  {}: {}: {}\n", entry["interface"].get<std::string>(),
                       paint(entry["state"].get<std::string>(), Colour::yellow), entry.value("problem", ""));
}

// Who marks connections by sets, and the one rule: nothing to say without [classify].
void print_classification(const json& classification) {
    if (classification.is_null() || !classification["enabled"].get<bool>()) return;
    std::string sets;
    for (const auto& set : classification["sets"])
        sets += (sets.empty() ? "" : ", ") + set["name"].get<std::string>();
    const auto& marker = classification["marker"];
    const auto& rule = classification["rule"];
    fmt::print("  classification: marks by {}{}; sets {}; the one rule: {}\n",
               marker["used"].get<std::string>(),
               marker["why"].is_string() ? fmt::format(" ({})", marker["why"].get<std::string>()) : "",
               sets.empty() ? "none yet" : sets, rule["state"].get<std::string>());
    if (const auto& waited = classification["waited_for"]; !waited.empty())
        fmt::print("    waits for the sets {}\n", fmt::join(waited.get<std::vector<std::string>>(), ", "));
    if (const auto& remark = classification["remark"]; remark["changed"] != 0 || remark["unclear"] != 0)
        fmt::print("    connections marked anew: {}, left since unclear: {}\n",
                   remark["changed"].get<std::uint64_t>(), remark["unclear"].get<std::uint64_t>());
    for (const auto& problem : classification["problems"])
        fmt::print("    {}\n", paint(problem.get<std::string>(), Colour::yellow));
}

const char* fail_name(sw_ring_fail fail) {
    return fail == SW_RING_FAIL_DROP ? "drop" : "accept";
}

void print_recording(const json& recording) {
    if (recording.is_null()) return;
    const std::string problem = recording["problem"].is_string() ? recording["problem"].get<std::string>()
                                : recording["full"].get<bool>()  ? "full"
                                                                 : "";
    fmt::print("    recorded in {}: {} events, {} of {}, {} lost{}\n", recording["file"].get<std::string>(),
               recording["events"].get<std::uint64_t>(), bytes_text(recording["bytes"].get<std::uint64_t>()),
               bytes_text(recording["limit"].get<std::uint64_t>()), recording["lost"].get<std::uint64_t>(),
               problem.empty() ? "" : paint("; no more: " + problem, Colour::yellow));
}

// Doubtful packets: nothing to say where nothing is escalated.
void print_escalation(const json& escalation) {
    if (escalation.is_null()) return;
    if (const auto& problem = escalation["problem"]; problem.is_string())
        fmt::print("  {}: {}; it is tried again in {} s\n",
                   paint("doubtful packets are not asked about", Colour::red), problem.get<std::string>(),
                   escalation.value("next_try_ms", std::int64_t{0}) / 1000);
    if (!escalation["running"].get<bool>()) return;
    std::uint64_t received = 0, verdicts = 0, lost = 0;
    std::map<std::string, std::uint64_t> decisions;
    for (const auto& worker : escalation["workers"]) {
        received += worker["received"].get<std::uint64_t>();
        verdicts += worker["verdicts"].get<std::uint64_t>();
        lost += worker["lost"].get<std::uint64_t>();
        for (const auto& [reason, count] : worker["decisions"].items())
            decisions[reason] += count.get<std::uint64_t>();
    }
    fmt::print("  doubtful packets: by {} ({}){}\n", escalation["transport"].get<std::string>(),
               escalation["why"].get<std::string>(),
               escalation["dry_run"].get<bool>() ? paint("; dry run, not acted upon", Colour::yellow) : "");
    fmt::print("    {} asked about, {} verdicts, {} lost, {} tickets written, {} sources denied\n", received,
               verdicts, lost, escalation["tickets_written"].get<std::uint64_t>(),
               escalation["sources_denied"].get<std::uint64_t>());
    for (const auto& [reason, count] : decisions) fmt::print("    {:>10} {}\n", count, reason);
    print_recording(escalation.value("recording", json()));
}

// The kernel module as this network namespace sees it; null where it is not loaded.
json module_json() {
    if (!module_loaded()) return {};
    auto control = ModuleControl::open();
    if (!control) return {{"problem", control.error().message}};
    const auto module = control->status();
    const auto rings = module ? control->rings() : tl::unexpected(module.error());
    if (!rings) return {{"problem", rings.error().message}};
    json list = json::array();
    for (const RingStatus& ring : *rings)
        list.push_back({{"ring", ring.ring},
                        {"rings", ring.rings},
                        {"mode", ring.mode == SW_RING_COPY ? "copy-drop" : "hold"},
                        {"fanout", ring.fanout == SW_RING_FANOUT_FLOW ? "flow" : "cpu"},
                        {"fail", fail_name(ring.fail)},
                        {"slots", ring.slots},
                        {"held", ring.held},
                        {"bytes", ring.bytes},
                        {"published", ring.published},
                        {"lost", ring.lost},
                        {"pid", ring.pid}});
    const ModulePolicy& policy = module->policy;
    return {{"version", module->version},
            {"policy",
             {{"fail", fail_name(policy.fail.value_or(SW_RING_FAIL_ACCEPT))},
              {"slots", policy.slots.value_or(0)},
              {"bytes", policy.bytes.value_or(0)},
              {"deadline_ms", policy.deadline_ms.value_or(0)}}},
            {"rings", std::move(list)}};
}

void print_module(const json& module) {
    if (module.is_null()) return;
    if (module.contains("problem"))
        return fmt::print("  kernel module: {}\n", paint(module["problem"].get<std::string>(), Colour::red));
    const json& policy = module["policy"];
    fmt::print("  kernel module {}: without a reader {}; at most {} slots, {} bytes, {} ms\n",
               module["version"].get<std::string>(), policy["fail"].get<std::string>(),
               policy["slots"].get<std::uint32_t>(), policy["bytes"].get<std::uint64_t>(),
               policy["deadline_ms"].get<std::uint32_t>());
    for (const json& ring : module["rings"])
        fmt::print("    ring {} of {} (process {}): {}, by {}; {} of {} slots taken, {} lost; fail {}\n",
                   ring["ring"].get<unsigned>(), ring["rings"].get<unsigned>(), ring["pid"].get<unsigned>(),
                   ring["mode"].get<std::string>(), ring["fanout"].get<std::string>(),
                   ring["held"].get<std::uint32_t>(), ring["slots"].get<std::uint32_t>(),
                   ring["lost"].get<std::uint64_t>(), ring["fail"].get<std::string>());
}

// The sets at the driver hook; nothing to say where there is none.
void print_mirror(const json& mirror) {
    if (!mirror.is_object()) return;
    Table table({{""}, {""}, {"", Table::Align::right}, {""}});
    for (const json& set : mirror["sets"]) {
        const json problem = set.value("problem", json());
        if (set["type"].is_null() && problem.is_null()) continue;
        table.add(
            {set["name"].get<std::string>(), set["type"].is_null() ? "" : set["type"].get<std::string>(),
             fmt::format("{} entries", set["entries"].get<std::uint64_t>()),
             problem.is_string() ? Table::Cell(problem.get<std::string>(), Colour::red) : Table::Cell("")});
    }
    if (table.empty() && mirror["undefined"] == 0) return;
    fmt::print("  sets at the driver hook: noticed by {}, {} changes, drift {}\n",
               mirror["noticed_by"].get<std::string>(), mirror["changes"].get<std::uint64_t>(),
               mirror["drift"].get<std::uint64_t>());
    fmt::print("{}", table.text(4));
    for (const json& one : mirror["undefined_marks"])
        fmt::print(
            "    {}\n",
            paint(fmt::format("{}: {} entries have the mark {:#04x}, which no fate has: they do nothing",
                              one["set"].get<std::string>(), one["entries"].get<std::uint64_t>(),
                              one["mark"].get<unsigned>()),
                  Colour::yellow));
    for (const json& interface : mirror["interfaces"]) {
        std::string problems;
        if (interface.contains("problem"))
            problems += "; " + paint(interface["problem"].get<std::string>(), Colour::red);
        if (interface.contains("ports_problem"))
            problems += "; " + paint(fmt::format("those by port act by the connection's mark alone: {}",
                                                 interface["ports_problem"].get<std::string>()),
                                     Colour::yellow);
        fmt::print("    {}: {} entries in force{}\n", interface["interface"].get<std::string>(),
                   interface["entries"].get<std::uint64_t>(), problems);
        if (const json left = interface.value("kernel_only", json::array()); !left.empty())
            fmt::print("    {}: entries by interface act in the kernel only, by {}\n",
                       interface["interface"].get<std::string>(),
                       fmt::join(left.get<std::vector<std::string>>(), ", "));
    }
}

// What was decided for the interface: the daemon knows, else it is derived.
Result<json> notes_of(const json& daemon, const Instance& instance) {
    const std::string& name = instance.interface().name;
    if (!daemon.is_null())
        for (const auto& entry : daemon["interfaces"])
            if (entry["interface"] == name) return entry.value("notes", json::array());
    const auto config = live_config({&instance, 1});
    if (!config) return tl::unexpected(config.error());
    if (config->services.empty()) return json::array();
    return json(delivery_notes(*config, read_host(name)));
}

// Without a daemon: of the host and its interfaces. Firewall rules are `synward preflight`'s.
Result<json> own_findings(std::span<const Instance> instances) {
    const auto config = live_config(instances);
    if (!config) return tl::unexpected(config.error());
    return config->services.empty() ? json::array() : findings_json(preflight(*config, Depth::host));
}

struct StatusParameters {
    std::vector<std::string> devices;
    bool statistics = false;
    bool details = false;
};

Result<void> add_more(const StatusParameters& parameters, const Instance& instance, json& one) {
    if (parameters.statistics) {
        const auto stats = instance.stats();
        if (!stats) return tl::unexpected(stats.error());
        one["statistics"] = stats_json(*stats);
    }
    if (!parameters.details) return {};
    auto details = details_json(instance);
    if (!details) return tl::unexpected(details.error());
    one["details"] = std::move(*details);
    return {};
}

Result<void> run(const StatusParameters& parameters, const Context& context) {
    const std::vector<std::string>& devices = parameters.devices;
    const DaemonLink link(context);
    auto instances = find_instances(devices);
    if (!instances) {
        // A daemon that waits for its interfaces is something to tell.
        const bool tell = link.running() && devices.empty() && instances.error().code == ErrorCode::missing;
        if (!tell) return tl::unexpected(instances.error());
        instances.emplace();
    }
    const json daemon = link.running() ? link.status()["daemon"] : json();
    json interfaces = json::array();
    for (const Instance& instance : *instances) {
        auto one = status_json(instance);
        if (!one) return tl::unexpected(one.error());
        auto notes = notes_of(daemon, instance);
        if (!notes) return tl::unexpected(notes.error());
        (*one)["notes"] = std::move(*notes);
        if (auto done = add_more(parameters, instance, *one); !done) return done;
        interfaces.push_back(std::move(*one));
    }
    const json escalation = link.running() ? link.status().value("escalation", json()) : json();
    const json classification = link.running() ? link.status().value("classification", json()) : json();
    const json mirror = link.running() ? link.status().value("mirror", json()) : json();
    const auto findings = link.running() ? Result<json>(link.status()["findings"]) : own_findings(*instances);
    if (!findings) return tl::unexpected(findings.error());
    const json module = module_json();
    if (context.json) {
        json all = {{"interfaces", interfaces},
                    {"daemon", daemon},
                    {"escalation", escalation},
                    {"module", module},
                    {"classification", classification},
                    {"mirror", mirror},
                    {"findings", *findings}};
        if (parameters.details) all["host"] = host_json();
        print_json(all);
        return {};
    }
    for (const auto& one : interfaces) {
        print_interface(one);
        if (parameters.statistics) print_statistics(one["statistics"]);
        if (parameters.details) print_details(one["details"]);
    }
    if (parameters.details) print_host(host_json());
    print_daemon(daemon);
    print_escalation(escalation);
    print_module(module);
    print_classification(classification);
    print_mirror(mirror);
    print_findings(*findings);
    return {};
}

}  // namespace

void add_status(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<StatusParameters>();
    CLI::App* command =
        add_command(app, context, "status", "Show what is loaded, what it protects and how, and the daemon",
                    "synward status eth0 --statistics");
    add_devices(command, parameters->devices);
    // -s and -d are the socket and the interface, as everywhere.
    command->add_flag("-S,--statistics", parameters->statistics, "With the counters of every service");
    command->add_flag("-D,--details", parameters->details,
                      "With maps and their memory, the age of the key, and what the kernel has");
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run(*parameters, context); }; });
}

}  // namespace synward::cli
