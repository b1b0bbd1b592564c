// SPDX-License-Identifier: GPL-2.0-or-later
// synward import: a linear ruleset becomes sets and the one rule.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <vector>

#include "lib/config.h"
#include "lib/import/apply.h"
#include "lib/import/convert.h"
#include "lib/output_file.h"
#include "tools/cli/config_file.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

struct ImportParameters {
    std::string input = "-";
    std::string output;
    std::string name = "import";
    bool dry_run = false;
    bool apply = false;
    bool all_traffic = false;
    bool ipv4 = false;
    bool ipv6 = false;
    ImportOptions options;
    ProofOptions proof;
};

Result<std::string> read_input(const std::string& path) {
    std::ifstream file;
    if (path != "-") {
        errno = 0;
        file.open(path, std::ios::binary);
        if (!file || std::filesystem::is_directory(path)) return fail_errno(errno ? errno : EISDIR, path);
    }
    std::istream& stream = path == "-" ? std::cin : file;
    return std::string(std::istreambuf_iterator<char>(stream), {});
}

bool is_on(const char* path) {
    std::ifstream file(path);
    int value = 0;
    return file >> value && value != 0;
}

// The chain did not see what the one rule will.
Result<void> may_apply(const ImportParameters& parameters) {
    if (parameters.all_traffic) return {};
    const std::string& chain = parameters.options.chain;
    const bool forwards =
        is_on("/proc/sys/net/ipv4/ip_forward") || is_on("/proc/sys/net/ipv6/conf/all/forwarding");
    if (chain != "INPUT" && chain != "input")
        return fail(
            ErrorCode::usage,
            fmt::format("the one rule judges all that comes in, not only what passes the chain {}: write the "
                        "files by --output and look at them, or say --all-traffic",
                        chain));
    if (forwards)
        return fail(
            ErrorCode::usage,
            "this host forwards, and the one rule would judge that as well: write the files by --output and "
            "look at them, or say --all-traffic");
    return {};
}

// All or none: nothing gets its name before everything is written.
Result<void> write_files(const std::string& directory, const std::vector<ImportFile>& files) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return fail_errno(error.value(), directory);
    std::vector<OutputFile> made;
    for (const ImportFile& file : files) {
        auto one = OutputFile::write((std::filesystem::path(directory) / file.name).string(), file.text);
        if (!one) return tl::unexpected(one.error());
        made.push_back(std::move(*one));
    }
    for (OutputFile& file : made)
        if (auto done = file.publish(); !done) return done;
    return {};
}

std::string proof_text(const Conversion& conversion, std::uint64_t seed) {
    const Proof& proof = conversion.proof;
    std::string text = fmt::format(
        "equivalent on {} packets: {} at the edges of every rule, {} at random (seed {}; {} "
        "of them asked rule by rule)",
        proof.boundary + proof.random, proof.boundary, proof.random, seed, proof.one_by_one);
    if (proof.whole)
        text += fmt::format("\nproven for every address: {} regions in {} classes of interface and port",
                            proof.regions, proof.classes);
    else
        text += fmt::format(
            "\nnot proven for every address ({} regions were), too many ports and rules: beyond those "
            "packets a difference is possible",
            proof.regions);
    return text;
}

nlohmann::json summary_json(const Conversion& conversion, const ImportParameters& parameters) {
    nlohmann::json sets = nlohmann::json::array();
    for (const PlannedSet& set : conversion.plan.sets)
        sets.push_back({{"name", set.name},
                        {"type", set_kind_type(set.kind)},
                        {"family", set.family == SW_IPV4 ? "inet" : "inet6"},
                        {"entries", set.entries.size()},
                        {"elements", set.elements()}});
    const Proof& proof = conversion.proof;
    return {{"rules", conversion.rules},
            {"sets", std::move(sets)},
            {"shadowed", conversion.plan.shadowed.size()},
            {"without_effect", conversion.plan.without_effect},
            {"notes", conversion.notes},
            {"proof",
             {{"proven", proof.whole ? "whole" : "sampled"},
              {"whole", proof.whole},
              {"classes", proof.classes},
              {"regions", proof.regions},
              {"packets", proof.boundary + proof.random},
              {"seed", parameters.proof.seed}}}};
}

void print_summary(std::FILE* out, const Conversion& conversion, const ImportParameters& parameters) {
    fmt::print(out, "{} rules became {} sets\n", conversion.rules, conversion.plan.sets.size());
    for (const PlannedSet& set : conversion.plan.sets)
        fmt::print(out, "  {}: {} {}, {} entries, {} elements in the kernel\n", set.name,
                   set_kind_type(set.kind), set.family == SW_IPV4 ? "IPv4" : "IPv6", set.entries.size(),
                   set.elements());
    if (conversion.plan.without_effect > 0)
        fmt::print(out, "{} entries were left out, the verdict is the same without them\n",
                   conversion.plan.without_effect);
    for (const std::string& note : conversion.notes) fmt::print(out, "note: {}\n", note);
    fmt::print(out, "{}\n", proof_text(conversion, parameters.proof.seed));
}

// What is left to the administrator.
void print_next(const Conversion& conversion, const Applied& applied) {
    fmt::print("the sets and the one rule are in the kernel{}\n",
               conversion.proof.whole ? "" : ", compared with the old rules by samples only");
    for (const std::string& set : applied.left)
        fmt::print("{} has old entries and is still read by somebody: ipset destroy {}\n", set, set);
    for (const std::string& set : applied.unused)
        fmt::print("{} of an earlier import is not needed any more: ipset destroy {}\n", set, set);
    fmt::print(
        "marks are written once the sets are bound; put this into /etc/synward/synward.toml and reload "
        "synwardd:\n  [classify]\n  sets = [");
    const char* comma = "";
    for (const PlannedSet& set : conversion.plan.sets) {
        fmt::print("{}\"{}\"", comma, set.name);
        comma = ", ";
    }
    fmt::print("]\n");
    fmt::print(
        "the old rules are still there and decide as well; when all is as it should be, take them out:\n");
    const Ruleset& ruleset = conversion.ruleset;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        const auto entry = ruleset.entry(family);
        if (!entry || (family == SW_IPV6 && entry == ruleset.entry4)) continue;
        const SourceChain& chain = ruleset.chains[*entry];
        const std::string command = family == SW_IPV4 ? "iptables" : "ip6tables";
        if (ruleset.nft)
            fmt::print("  nft flush chain {}{}\n", chain.name,
                       chain.drops ? fmt::format(" && nft 'chain {} {{ policy accept; }}'", chain.name) : "");
        else
            fmt::print("  {}{} -F {}\n",
                       chain.drops ? fmt::format("{} -P {} ACCEPT && ", command, chain.name) : "", command,
                       chain.name);
    }
}

Result<void> run_import(ImportParameters& parameters, const Context& context) {
    if (parameters.ipv4 || parameters.ipv6) parameters.options.family = parameters.ipv6 ? SW_IPV6 : SW_IPV4;
    if (parameters.apply)
        if (auto done = may_apply(parameters); !done) return done;
    const auto text = read_input(parameters.input);
    if (!text) return tl::unexpected(text.error());
    auto conversion = convert_ruleset(*text, parameters.name, parameters.options, parameters.proof);
    if (!conversion) return tl::unexpected(conversion.error());

    for (ImportFile& file : mangle_files(conversion->plan)) conversion->files.push_back(std::move(file));
    const bool to_stdout = parameters.output == "-";
    if (parameters.dry_run) {
        parameters.apply = false;
        parameters.output.clear();
    }
    if (!parameters.output.empty() && !to_stdout)
        if (auto done = write_files(parameters.output, conversion->files); !done) return done;
    Applied applied;
    if (parameters.apply) {
        // The administrator's own fates stay in the one rule.
        const DaemonLink daemon(context);
        const auto config = load_config(daemon.running() ? daemon.config_path() : default_config_path);
        if (!config && config.error().code != ErrorCode::missing) return tl::unexpected(config.error());
        auto done = apply_plan(conversion->plan, parameters.name, config ? config->classify.fates : Fates());
        if (!done) return tl::unexpected(done.error());
        applied = std::move(*done);
    }
    if (context.json) {
        nlohmann::json summary = summary_json(*conversion, parameters);
        summary["applied"] = parameters.apply;
        summary["output"] = parameters.output;
        summary["left"] = applied.left;
        print_json(summary);
        return {};
    }
    print_summary(to_stdout ? stderr : stdout, *conversion, parameters);
    if (to_stdout && !parameters.dry_run)
        for (const ImportFile& file : conversion->files) fmt::print("### {}\n{}", file.name, file.text);
    if (!parameters.output.empty() && !to_stdout) {
        fmt::print("written to {}:", parameters.output);
        for (const ImportFile& file : conversion->files) fmt::print(" {}", file.name);
        fmt::print("\n");
    }
    if (parameters.apply) print_next(*conversion, applied);
    if (!parameters.apply && parameters.output.empty())
        fmt::print("nothing was written: --output DIR writes the files, --apply loads them\n");
    return {};
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<ImportParameters>();
    CLI::App* command = add_command(app, context, "import",
                                    "Turn a linear ruleset of iptables or nft into sets and the one rule, "
                                    "and prove that both decide the same",
                                    "iptables-save | synward import --output /etc/synward/import\n  nft -j "
                                    "list ruleset | synward import --apply");
    ImportParameters& p = *parameters;
    command->add_option("FILE", p.input, "Of iptables-save or `nft -j list ruleset`; -: standard input")
        ->capture_default_str();
    command->add_option("--chain", p.options.chain, "Its rules, and those of chains that it jumps to")
        ->capture_default_str();
    command->add_option("--table", p.options.table, "Only this table; of iptables, filter by default");
    command->add_option("--name", p.name, "The sets are called NAME4-1, NAME6-1 ...")->capture_default_str();
    command->add_flag("-n,--dry-run", p.dry_run, "Only say what would become of it");
    command->add_option("-o,--output", p.output, "Write the files there; -: to standard output")
        ->type_name("DIR");
    command->add_flag("--apply", p.apply, "Load the sets and the one rule; old rules stay");
    command->add_flag("--all-traffic", p.all_traffic,
                      "Apply although the one rule judges traffic that the chain did not see");
    command->add_flag("--reject-as-drop", p.options.reject_as_drop, "Take REJECT for DROP");
    command->add_flag("--skip-log", p.options.skip_log, "Leave rules out that log");
    command->add_flag("--skip-cookies", p.options.skip_cookies,
                      "What is accepted passes the driver without cookies (fate allow, not accept)");
    auto* four = command->add_flag("-4,--ipv4", p.ipv4, "Text of iptables that does not tell is IPv4");
    command->add_flag("-6,--ipv6", p.ipv6, "Text of iptables that does not tell is IPv6")->excludes(four);
    command->add_option("--max-entries", p.options.most_entries, "Elements of all sets together")
        ->capture_default_str()
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 24));
    command->add_option("--packets", p.proof.random_packets, "Random packets to ask both sides about")
        ->capture_default_str();
    auto* seed = command->add_option("--seed", p.proof.seed, "Of the random packets");
    command->callback([parameters, seed, &context] {
        if (!*seed) parameters->proof.seed = std::random_device()();
        context.work = [=, &context] { return run_import(*parameters, context); };
    });
}

}  // namespace synward::cli
