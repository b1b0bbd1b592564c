// SPDX-License-Identifier: GPL-2.0-or-later
// synward load: puts the programs on interfaces.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>

#include "lib/host.h"
#include "lib/instance.h"
#include "lib/json.h"
#include "lib/listeners.h"
#include "lib/local_services.h"
#include "lib/policy.h"
#include "lib/preflight.h"
#include "lib/sets/mirror_once.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

struct LoadParameters {
    std::vector<std::string> devices;
    std::string mode;
    std::string config;
};

Result<Instance> open_instance(const Interface& interface, const LoadOptions& options, bool native_only) {
    auto instance = Instance::open(interface, options);
    if (!instance || !native_only || instance->attachment().mode != AttachMode::generic) return instance;
    const Attachment attachment = instance->attachment();
    if (attachment.adopted)
        return fail(
            ErrorCode::busy,
            fmt::format("{} has synward in generic mode already; take it off first: synward unload {}",
                        interface.name, interface.name));
    if (auto done = Instance::unload(interface); !done) return tl::unexpected(done.error());
    return fail(
        ErrorCode::unsupported,
        fmt::format("the driver of {} does not take the program in native mode: {}; without --mode native "
                    "it is loaded in generic mode, which is several times slower",
                    interface.name, attachment.generic_why));
}

// The sources of the file and the sets as they are now. Where the daemon protects, they are its own.
Result<void> write_sources(Instance& instance, const Config& config, const DaemonLink& daemon) {
    if (daemon.protects(instance.interface().name)) return {};
    const auto mirrored = mirror_once(config, instance);
    if (!mirrored) return tl::unexpected(mirrored.error());
    for (const std::string& problem : mirrored->problems) fmt::print(stderr, "synward: {}\n", problem);
    return {};
}

Result<nlohmann::json> load(const std::string& device, const LoadParameters& parameters, const Config& config,
                            DaemonLink& daemon, const Context& context) {
    auto interface = find_interface(device);
    if (!interface) return tl::unexpected(interface.error());
    auto lock = InterfaceLock::take(*interface, InterfaceLock::Part::policy);
    if (!lock) return tl::unexpected(lock.error());
    // While this waited for the lock, its address may have changed, and the policy with it.
    interface = find_interface(device);
    if (!interface) return tl::unexpected(interface.error());
    const LoadOptions options{.object = config.daemon.object,
                              .flows = config.limits.flows,
                              .sources = config.limits.sources,
                              .generic = parameters.mode == "generic" || config.daemon.generic};
    auto instance = open_instance(*interface, options, parameters.mode == "native");
    if (!instance) return tl::unexpected(instance.error());
    auto live = instance->read_policy();
    if (!live) return tl::unexpected(live.error());
    if (!parameters.config.empty()) {
        Config here = config;
        if (auto done = read_local(here.services, device); !done) return tl::unexpected(done.error());
        const auto policy = compile_policy(here, read_host(device), *interface, &*live);
        if (!policy) return tl::unexpected(policy.error());
        if (auto done = instance->apply(*policy); !done) return tl::unexpected(done.error());
        if (auto done = write_sources(*instance, here, daemon); !done) return tl::unexpected(done.error());
        // The daemon takes the lock itself.
        if (daemon.protects(device)) lock->release();
        if (auto done = daemon.learn(*instance); !done) return tl::unexpected(done.error());
        live = instance->read_policy();
        if (!live) return tl::unexpected(live.error());
    }

    const Attachment& attachment = instance->attachment();
    const auto services = view_services(*live);
    if (!context.json) {
        fmt::print("{}: {} in {} mode, program {}; {}\n", device,
                   attachment.adopted ? "synward was there already" : "loaded",
                   attach_mode_name(attachment.mode), attachment.program_id,
                   services.empty() ? "nothing is protected yet (synward protect PORT)"
                                    : fmt::format("{} services", services.size()));
        if (const std::string slow = generic_text(attachment, *interface); !slow.empty())
            fmt::print("{}: {}\n", device, slow);
    }
    return status_json(*instance);
}

// What the file asks for and the programs alone cannot do; empty if there is nothing.
std::string left_to_daemon(const std::string& path, const Config& config, const DaemonLink& daemon) {
    std::vector<std::string> all;
    if (daemon.running() && !(config.sources.deny.empty() && config.sources.allow.empty()))
        all.emplace_back("the sources of interfaces that it protects");
    if (config.classify.enabled) all.emplace_back("the ipsets, marks and one rule of [classify]");
    if (config.escalates()) all.emplace_back("the deciders about what is escalated");
    if (all.empty()) return {};
    const std::string parts = fmt::format("{}", fmt::join(all, " and "));
    if (daemon.running())
        return fmt::format("{}: {} are synwardd's, as {} said when it was read last", path, parts,
                           daemon.config_path());
    return fmt::format("{}: {} need synwardd, which does not run: only the driver's part is in force", path,
                       parts);
}

// Looked at here too, since it is the service that decides and not the host.
std::vector<std::string> mptcp_notes(const Config& config) {
    std::vector<std::string> notes;
    if (config.services.empty()) return notes;
    if (const auto listeners = read_listeners())
        for (const Finding& finding : check_mptcp(config, *listeners))
            notes.push_back(fmt::format("{}: {}", finding.subject, finding.text));
    return notes;
}

Result<void> run_load(const LoadParameters& parameters, const Context& context) {
    Config config;
    if (!parameters.config.empty()) {
        auto read = load_config(parameters.config);
        if (!read) return tl::unexpected(read.error());
        config = std::move(*read);
    }
    // Asked before anything is locked.
    DaemonLink daemon(context);
    nlohmann::json interfaces = nlohmann::json::array();
    for (const std::string& device : parameters.devices) {
        auto loaded = load(device, parameters, config, daemon, context);
        if (!loaded) return tl::unexpected(loaded.error());
        interfaces.push_back(std::move(*loaded));
    }
    std::vector<std::string> notes = mptcp_notes(config);
    if (const std::string left = left_to_daemon(parameters.config, config, daemon); !left.empty())
        notes.push_back(left);
    if (context.json) {
        print_json({{"interfaces", std::move(interfaces)}, {"notes", notes}});
        return {};
    }
    std::fflush(stdout);  // what was done comes first
    for (const std::string& note : notes) fmt::print(stderr, "synward: {}\n", note);
    return {};
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<LoadParameters>();
    CLI::App* command =
        add_command(app, context, "load", "Load the programs; everything passes until a service is protected",
                    "synward load eth0 --config /etc/synward/synward.toml");
    command->add_option("DEV,-d,--dev,--interface", parameters->devices, "Interfaces")
        ->required()
        ->type_name("DEV");
    command
        ->add_option("-m,--mode", parameters->mode,
                     "native: never fall back to generic; generic: do not try native")
        ->check(CLI::IsMember({"native", "generic"}))
        ->type_name("MODE");
    command
        ->add_option("-c,--config", parameters->config,
                     "Enforce the services, limits and sources of this file")
        ->type_name("FILE");
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_load(*parameters, context); }; });
}

}  // namespace synward::cli
