// SPDX-License-Identifier: GPL-2.0-or-later
// synward protect: adds a service to the policy in force, at once.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "lib/host.h"
#include "lib/instance.h"
#include "lib/names.h"
#include "tools/cli/addition.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/route.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct ProtectParameters {
    std::string place;
    ServiceOptions service;
    std::vector<std::string> devices;
};

// Those named; else those that have synward; else the one of the default route.
Result<std::vector<std::string>> choose(const ProtectParameters& parameters, const Context& context) {
    if (!parameters.devices.empty()) return parameters.devices;
    const auto instances = loaded_instances();
    if (!instances) return tl::unexpected(instances.error());
    std::vector<std::string> devices;
    for (const Instance& instance : *instances) devices.push_back(instance.interface().name);
    if (!devices.empty()) return devices;
    const auto device = default_route_interface();
    if (!device)
        return fail(ErrorCode::usage,
                    "synward is not loaded, and no default route tells the interface; give it: --dev DEV");
    if (!context.json) fmt::print("{}: taken because it has the default route\n", *device);
    return std::vector{*device};
}

Result<nlohmann::json> protect(const std::string& device, const Addition& addition, DaemonLink& daemon,
                               const Context& context) {
    auto interface = find_interface(device);
    if (!interface) return tl::unexpected(interface.error());
    auto lock = InterfaceLock::take(*interface, InterfaceLock::Part::policy);
    if (!lock) return tl::unexpected(lock.error());
    // While this waited for the lock, its address may have changed, and the policy with it.
    interface = find_interface(device);
    if (!interface) return tl::unexpected(interface.error());
    auto instance = Instance::open(*interface, {});
    if (!instance) return tl::unexpected(instance.error());
    const auto live = instance->read_policy();
    if (!live) return tl::unexpected(live.error());
    Config config = addition.config;
    if (is_gateway(*live, config.services[0].name)) config.daemon.gateway = true;
    const auto compiled = compile_policy(config, read_host(device), *interface, &*live);
    if (!compiled) return tl::unexpected(compiled.error());
    const auto merged = merge_policy(*live, *compiled);
    if (!merged) return tl::unexpected(merged.error());
    if (auto done = instance->apply(*merged); !done) return tl::unexpected(done.error());
    // The daemon takes the lock itself.
    if (daemon.protects(device)) lock->release();
    if (auto done = daemon.learn(*instance); !done) return tl::unexpected(done.error());
    lock->release();

    const ServiceConfig& service = addition.config.services[0];
    const sw_service& made = merged->services[merged->find(service.name)];
    const std::string slow = generic_text(instance->attachment(), *interface);
    if (!context.json) {
        std::string where;
        for (const Address& address : service.addresses) where += " of " + address.to_string();
        fmt::print("{}: service {} protects port {}{}: mode {}, delivery {}\n", device, service.name,
                   ports_text(service.ports), where, mode_name(made.mode), delivery_name(made.delivery));
        if (!slow.empty()) fmt::print("{}: {}\n", device, slow);
        for (const std::string& note : compiled->notes) fmt::print("{}: {}\n", device, note);
    }
    return nlohmann::json{{"interface", device},
                          {"service", service.name},
                          {"index", merged->find(service.name)},
                          {"mode", mode_name(made.mode)},
                          {"delivery", delivery_name(made.delivery)},
                          {"attach_mode", attach_mode_name(instance->attachment().mode)},
                          {"slow", slow.empty() ? nlohmann::json() : nlohmann::json(slow)},
                          {"notes", compiled->notes}};
}

Result<void> run_protect(const ProtectParameters& parameters, const Context& context) {
    const auto place = parse_place(parameters.place);
    if (!place) return tl::unexpected(place.error());
    const auto addition = make_addition(*place, parameters.service);
    if (!addition) return tl::unexpected(addition.error());
    const auto devices = choose(parameters, context);
    if (!devices) return tl::unexpected(devices.error());
    DaemonLink daemon(context);
    nlohmann::json interfaces = nlohmann::json::array();
    bool managed = false;
    for (const std::string& device : *devices) {
        auto done = protect(device, *addition, daemon, context);
        if (!done) return fail(done.error().code, fmt::format("{}: {}", device, done.error().message));
        interfaces.push_back(std::move(*done));
        managed |= daemon.protects(device);
    }
    if (context.json) {
        print_json({{"interfaces", std::move(interfaces)},
                    {"config", addition->toml},
                    {"config_file", managed ? nlohmann::json(daemon.config_path()) : nlohmann::json()}});
    } else if (managed) {
        fmt::print(
            "synwardd's config file is not changed, and its next reload takes the service away again. To "
            "keep "
            "it, add to {}:\n\n{}",
            daemon.config_path(), addition->toml);
    }
    return {};
}

}  // namespace

void add_protect(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<ProtectParameters>();
    CLI::App* command =
        add_command(app, context, "protect", "Protect a port at once, loading the programs if need be",
                    "synward protect 80,443/192.0.2.1 --name web --mode cookie --dev eth0");
    command->footer(
        command->get_footer() +
        "\n\nWithout --dev it protects on all interfaces that have synward, or else on that of the default "
        "route. No config file\nis changed.");
    command->add_option("PORT", parameters->place, "PORT[,PORT...][/ADDRESS]; every address if none is given")
        ->required()
        ->type_name("PORT[/ADDRESS]");
    ServiceOptions& service = parameters->service;
    command->add_option("-n,--name", service.name, "Name of the service; else made of the ports");
    command->add_option("-m,--mode", service.mode, "off, monitor, auto or cookie (default auto)")
        ->type_name("MODE");
    command->add_option("--delivery", service.delivery, "auto, reqsk, kernel or synproxy (default auto)");
    command->add_option("--arm-rate", service.arm_rate, "Mode auto: SYNs a second that arm it");
    command->add_option("--disarm-rate", service.disarm_rate, "Below this rate the hold time runs");
    command->add_option("--hold", service.hold, "Armed at least this long, as 10s or 5m");
    command->add_option("--stray", service.stray, "Packets of no connection: pass, drop or escalate");
    command->add_option("--fragment", service.fragment, "Fragments: pass, drop or escalate");
    command->add_option("--malformed", service.malformed, "Malformed packets: pass, drop or escalate");
    command->add_option("--odd-syn", service.odd_syn,
                        "SYNs with unusual options: answer, drop or escalate (default answer)");
    command->add_option("--escalate-rate", service.escalate_rate,
                        "Packets a second that the daemon is asked about (default 1000)");
    command->add_option("--escalate-default", service.escalate_default,
                        "What exceeds that rate: pass or drop (default drop)");
    add_device_option(command, parameters->devices);
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_protect(*parameters, context); };
    });
}

}  // namespace synward::cli
