// SPDX-License-Identifier: GPL-2.0-or-later
// synward save: what is in force, as a config file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>

#include "lib/config_text.h"
#include "lib/host.h"
#include "lib/output_file.h"
#include "lib/policy_config.h"
#include "tools/cli/context.h"
#include "tools/cli/live_config.h"
#include "tools/cli/output.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct SaveParameters {
    std::vector<std::string> devices;
    std::string output;
};

// What was local there when the policy was applied, which need not be what is local now.
void fill_as_applied(std::vector<ServiceConfig>& services, const CompiledPolicy& live) {
    for (ServiceConfig& service : services) {
        if (!service.local) continue;
        const unsigned index = live.find(service.name);
        std::set<Prefix> places;
        for (const AddressEntry& entry : live.addresses)
            if (index && entry.service == index) places.insert({entry.address, entry.address.bits()});
        service.local_prefixes.assign(places.begin(), places.end());
    }
}

// Where a load of the config would not bring back what is in force there.
Result<std::vector<std::string>> not_brought_back(const Config& config, const Instance& instance) {
    const auto live = instance.read_policy();
    if (!live) return tl::unexpected(live.error());
    Config here = config;
    fill_as_applied(here.services, *live);
    const auto compiled =
        compile_policy(here, read_host(instance.interface().name), instance.interface(), &*live);
    if (!compiled) return std::vector{compiled.error().message};
    auto different = differences(*live, *compiled);
    // Without a policy there are neither limits nor defaults.
    if (!live->config.abi)
        std::erase_if(different, [&](const std::string& name) { return !compiled->find(name); });
    return different;
}

// What a reader should know and the text does not say.
void note_sources(const Instance& instance, std::vector<std::string>& notes) {
    const auto counts = instance.count_sources();
    if (const auto& name = instance.interface().name; counts[SW_FATE_DENY] || counts[SW_FATE_ALLOW])
        notes.push_back(
            fmt::format("{}: {} sources are denied and {} allowed at the driver, which keeps only hashes of "
                        "them; ipset save and synward export tell those of sets",
                        name, counts[SW_FATE_DENY], counts[SW_FATE_ALLOW]));
    if (instance.attachment().mode == AttachMode::generic)
        notes.push_back(fmt::format("{}: loaded in generic mode; generic = true under [daemon] asks for it",
                                    instance.interface().name));
}

void note_unheard(const Config& config, std::vector<std::string>& notes) {
    Config heard = config;
    heard.escalation.enabled = true;
    if (heard.escalates() && !config.escalates())
        notes.emplace_back(
            "what is escalated goes to nobody now; with this config, synwardd decides about it");
}

Result<Config> config_to_save(const std::vector<Instance>& instances, std::vector<std::string>& notes) {
    const auto network = read_local_network();
    if (!network) return tl::unexpected(network.error());
    const Instance& first = instances.front();
    auto config = live_config(first, *network);
    if (!config) return config;
    prefer_auto(*config, read_host(first.interface().name));
    for (const Instance& instance : instances) {
        const std::string& name = instance.interface().name;
        const auto lost = not_brought_back(*config, instance);
        if (!lost) return tl::unexpected(lost.error());
        if (&instance != &first) {
            if (!lost->empty())
                return fail(ErrorCode::usage,
                            fmt::format("{} and {} do not have the same policy ({}), which a config gives to "
                                        "all its interfaces; save them one by one: synward save {}",
                                        first.interface().name, name, fmt::join(*lost, ", "), name));
            config->daemon.interfaces.push_back(name);
        } else if (!lost->empty()) {
            notes.push_back(
                fmt::format("{}: a load makes something else of: {}; the host or the interface changed since",
                            name, fmt::join(*lost, ", ")));
        }
        note_sources(instance, notes);
    }
    note_unheard(*config, notes);
    return config;
}

Result<void> run_save(const SaveParameters& parameters, const Context& context) {
    const auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    std::vector<std::string> notes;
    const auto config = config_to_save(*instances, notes);
    if (!config) return tl::unexpected(config.error());
    std::string text = fmt::format(
        "# The policy in force on {}, by synward save.\n"
        "# What is not part of it is not here: [sources], [escalation], [decide], [classify], [[fate]],\n"
        "# [metrics], and of [daemon] all but the interfaces.\n",
        fmt::join(config->daemon.interfaces, ", "));
    for (const std::string& note : notes) text += fmt::format("# {}\n", note);
    text += '\n' + config_text(*config);
    const bool to_file = !parameters.output.empty() && parameters.output != "-";
    if (to_file) {
        auto file = OutputFile::write(parameters.output, text);
        if (!file) return tl::unexpected(file.error());
        if (auto done = file->publish(); !done) return done;
        // Nobody reads on the screen what only the file says.
        for (const std::string& note : notes) fmt::print(stderr, "synward: {}\n", note);
    }
    if (context.json)
        print_json({{"interfaces", config->daemon.interfaces},
                    {"services", config->services.size()},
                    {"notes", notes},
                    {"file", to_file ? nlohmann::json(parameters.output) : nlohmann::json()},
                    {"config", text}});
    else if (!to_file)
        fmt::print("{}", text);
    return {};
}

}  // namespace

void add_save(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<SaveParameters>();
    CLI::App* command =
        add_command(app, context, "save", "Print the policy in force as a config file, for load --config",
                    "synward save -o policy.toml");
    add_devices(command, parameters->devices);
    command->add_option("-o,--output", parameters->output, "Write it to this file")->type_name("FILE");
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_save(*parameters, context); }; });
}

}  // namespace synward::cli
