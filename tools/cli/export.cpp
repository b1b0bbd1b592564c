// SPDX-License-Identifier: GPL-2.0-or-later
// synward export: the bound sets as linear rules.
#include "lib/import/export.h"

#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include "lib/config.h"
#include "tools/cli/config_file.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

struct ExportParameters {
    std::vector<std::string> sets;
    std::string format = "iptables";
    std::string config;  // empty: synwardd's, else the usual file
    bool ipv6 = false;
};

Result<void> run_export(const ExportParameters& parameters, const Context& context) {
    Config config;
    std::string path = parameters.config;
    if (path.empty()) {
        const DaemonLink daemon(context);
        path = daemon.running() ? daemon.config_path() : default_config_path;
    }
    if (auto loaded = load_config(path))
        config = std::move(*loaded);
    else if (loaded.error().code != ErrorCode::missing || !parameters.config.empty())
        return tl::unexpected(loaded.error());
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    std::vector<std::string> names = parameters.sets;
    if (names.empty()) {
        // Bound sets that do not exist (yet) have no entries.
        const auto there = reader->headers();
        if (!there) return tl::unexpected(there.error());
        for (const std::string& name : config.classify.sets)
            for (const SetHeader& header : *there)
                if (header.name == name) names.push_back(name);
        if (names.empty())
            return fail(ErrorCode::missing,
                        "none of the bound sets exists ([classify] sets in the config): name sets to export");
    }
    const auto sets = read_sets_to_export(*reader, names);
    if (!sets) return tl::unexpected(sets.error());
    ExportOptions options;
    options.format = parameters.format == "nft"     ? ExportFormat::nft
                     : parameters.format == "ipset" ? ExportFormat::ipset
                                                    : ExportFormat::iptables;
    options.family = parameters.ipv6 ? SW_IPV6 : SW_IPV4;
    const auto result = export_sets(*sets, config.classify.fates, options);
    if (!result) return tl::unexpected(result.error());
    if (context.json) {
        print_json(
            {{"sets", names}, {"rules", result->rules}, {"notes", result->notes}, {"text", result->text}});
        return {};
    }
    for (const std::string& note : result->notes) fmt::print(stderr, "synward: {}\n", note);
    fmt::print("{}", result->text);
    return {};
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<ExportParameters>();
    CLI::App* command = add_command(app, context, "export", "Write the entries of sets as linear rules again",
                                    "synward export --format nft > rules.nft");
    command->add_option("SET", parameters->sets,
                        "In the order of their look-up; by default those that are bound");
    command->add_option("--format", parameters->format, "nft, iptables or ipset")
        ->capture_default_str()
        ->check(CLI::IsMember({"nft", "iptables", "ipset"}));
    command->add_flag("-6,--ipv6", parameters->ipv6, "iptables: rules for ip6tables");
    command->add_option("-c,--config", parameters->config, "Tells bound sets and fates")
        ->capture_default_str()
        ->type_name("FILE");
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_export(*parameters, context); };
    });
}

}  // namespace synward::cli
