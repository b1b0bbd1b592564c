// SPDX-License-Identifier: GPL-2.0-or-later
// synward set: lists, shows, makes, empties and destroys ipsets.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "lib/sets/contents.h"
#include "lib/sets/entry_words.h"
#include "tools/cli/output.h"
#include "tools/cli/set_scene.h"
#include "tools/cli/set_trace.h"
#include "tools/cli/table.h"

namespace synward::cli {
namespace {

using nlohmann::json;

struct SetParameters {
    std::string name;
    std::string type;
    std::string family = "inet";
    std::uint32_t most = set_entries_most;
    std::string match;
    std::string config;
};

// Why the entries of this set say nothing, in few words; empty if they may.
std::string short_unfit(const SetHeader& header) {
    if (unfit(header).empty()) return "";
    if (header.kind == SetKind::other) return "type carries no verdicts";
    return header.bitmask ? "bitmask" : "no skbinfo";
}

json header_json(const SetHeader& header, bool bound) {
    const std::string problem = unfit(header);
    return {{"name", header.name},
            {"type", header.type},
            {"family", header.family ? json(family_text(header)) : json()},
            {"entries", header.elements},
            {"most", header.most ? json(header.most) : json()},
            {"memory", header.memory},
            {"references", header.references},
            {"skbinfo", header.skbinfo},
            {"timeout", header.timeout},
            {"counters", header.counters},
            {"comment", header.comment},
            {"bound", bound},
            {"problem", problem.empty() ? json() : json(problem)}};
}

Result<void> list(const SetParameters& parameters, const Context& context) {
    const auto scene = SetScene::open(parameters.config, context);
    if (!scene) return tl::unexpected(scene.error());
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    auto headers = reader->headers();
    if (!headers) return tl::unexpected(headers.error());
    std::sort(headers->begin(), headers->end(),
              [](const SetHeader& a, const SetHeader& b) { return a.name < b.name; });
    if (context.json) {
        json sets = json::array();
        for (const SetHeader& header : *headers)
            sets.push_back(header_json(header, scene->bound(header.name)));
        print_json({{"sets", std::move(sets)}});
        return {};
    }
    if (headers->empty()) {
        fmt::print("there is no set (synward deny, synward set create)\n");
        return {};
    }
    Table table({{"SET"},
                 {"TYPE"},
                 {"FAMILY"},
                 {"ENTRIES", Table::Align::right},
                 {"MOST", Table::Align::right},
                 {"MEMORY", Table::Align::right},
                 {"REFERENCES", Table::Align::right},
                 {"TIMEOUT"},
                 {"VERDICTS"}});
    for (const SetHeader& header : *headers) {
        const std::string problem = short_unfit(header);
        table.add({header.name, header.type, header.family ? family_text(header) : "any",
                   std::to_string(header.elements), header.most ? std::to_string(header.most) : "-",
                   bytes_text(header.memory), std::to_string(header.references),
                   header.timeout ? "yes" : "no",
                   !problem.empty()            ? Table::Cell(problem, Colour::yellow)
                   : scene->bound(header.name) ? Table::Cell("bound", Colour::green)
                                               : Table::Cell("not bound", Colour::dim)});
    }
    fmt::print("{}", table.text());
    return {};
}

struct Shown {
    Prefix prefix;
    std::string word;
    json entry;
};

Result<void> show(const SetParameters& parameters, const Context& context) {
    const auto scene = SetScene::open(parameters.config, context);
    if (!scene) return tl::unexpected(scene.error());
    std::optional<Prefix> match;
    if (!parameters.match.empty()) {
        const auto prefix = parse_entry_source(parameters.match);
        if (!prefix) return tl::unexpected(prefix.error());
        match = *prefix;
    }
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    const auto header = reader->header(parameters.name);
    if (!header) return tl::unexpected(header.error());
    std::vector<Shown> entries;
    // Members of a list keep their order, which counts.
    const bool is_list = header->kind == SetKind::list;
    const auto read = reader->read(parameters.name, [&](const SetEntry& entry) {
        if (match && !is_list && !entry.prefix.contains(match->address) &&
            !match->contains(entry.prefix.address))
            return;
        entries.push_back(
            {entry.prefix, entry_word(header->kind, entry), entry_json(*header, entry, scene->fates())});
    });
    if (!read) return tl::unexpected(read.error());
    if (!is_list)
        std::sort(entries.begin(), entries.end(), [](const Shown& a, const Shown& b) {
            return std::tie(a.prefix, a.word) < std::tie(b.prefix, b.word);
        });
    if (context.json) {
        json answer = header_json(*read, scene->bound(read->name));
        answer["contents"] = json::array();
        for (Shown& shown : entries) answer["contents"].push_back(std::move(shown.entry));
        print_json(answer);
        return {};
    }
    if (const std::string problem = unfit(*read); !problem.empty())
        fmt::print(stderr, "synward: {}\n", problem);
    if (entries.empty()) {
        fmt::print("{}\n", match
                               ? fmt::format("the set {} has no entry for {}", read->name, match->to_string())
                               : fmt::format("the set {} is empty", read->name));
        return {};
    }
    Table table({{is_list ? "SET" : "ENTRY"},
                 {"FATE"},
                 {"LEFT", Table::Align::right},
                 {"PACKETS", Table::Align::right},
                 {"COMMENT"}});
    for (const Shown& shown : entries) {
        const json& entry = shown.entry;
        const std::string acts = entry.value("acts", "");
        Table::Cell fate = acts == "exception" ? "nomatch" : "-";
        if (const json name = entry.value("fate", json()); name.is_string())
            fate = {name.get<std::string>(), acts == "drop"     ? Colour::red
                                             : acts == "accept" ? Colour::green
                                                                : Colour::yellow};
        table.add({shown.word, fate,
                   entry["timeout"].is_null() ? "-" : seconds_text(entry["timeout"].get<std::uint64_t>()),
                   entry["packets"].is_null() ? "-" : std::to_string(entry["packets"].get<std::uint64_t>()),
                   entry["comment"].is_null() ? "" : entry["comment"].get<std::string>()});
    }
    fmt::print("{}", table.text());
    return {};
}

Result<void> create(const SetParameters& parameters, const Context& context) {
    if (auto good = check_set_name(parameters.name); !good) return good;
    const SetKind kind = set_kind(parameters.type);
    if (kind == SetKind::other)
        return fail(
            ErrorCode::usage,
            fmt::format("sets of type '{}' carry no verdicts; there are hash:ip, hash:net, hash:ip,port, "
                        "hash:net,port, hash:net,iface, hash:ip,mark and list:set",
                        parameters.type));
    if (parameters.most == 0) return fail(ErrorCode::usage, "--most: a set of no entries is of no use");
    auto tools = open_set_tools();
    if (!tools) return tl::unexpected(tools.error());
    if (tools->reader.header(parameters.name))
        return fail(ErrorCode::usage,
                    fmt::format("there is a set {} already: `synward set show {}`, or destroy it first",
                                parameters.name, parameters.name));
    const sw_family family = parameters.family == "inet6" ? SW_IPV6 : SW_IPV4;
    SetHeader header;
    header.name = parameters.name;
    header.type = parameters.type;
    header.kind = kind;
    header.family = family;
    if (auto done = tools->ipset.run(create_command(parameters.name, kind, family, parameters.most)); !done)
        return tl::unexpected(explain(done.error(), header));
    const auto scene = SetScene::open(parameters.config, context);
    const bool bound = scene && scene->bound(parameters.name);
    if (context.json) {
        const auto made = tools->reader.header(parameters.name);
        if (!made) return tl::unexpected(made.error());
        print_json({{"created", header_json(*made, bound)}});
        return {};
    }
    fmt::print("made the set {} of type {}{}\n", parameters.name, parameters.type,
               kind == SetKind::list
                   ? ""
                   : fmt::format(", family {}, for {} entries", parameters.family, parameters.most));
    if (!bound)
        fmt::print(
            "to have it acted upon, add it to the list classify.sets of the config and reload synwardd\n");
    return {};
}

// What both do to a set that is there, then.
Result<void> remove(const SetParameters& parameters, const Context& context, const std::string& verb,
                    const std::string& past) {
    if (auto good = check_set_name(parameters.name); !good) return good;
    auto scene = SetScene::open(parameters.config, context);
    if (!scene) return tl::unexpected(scene.error());
    auto tools = open_set_tools();
    if (!tools) return tl::unexpected(tools.error());
    const auto header = tools->reader.header(parameters.name);
    if (!header) return tl::unexpected(header.error());
    if (auto done = tools->ipset.run(fmt::format("{} {}", verb, parameters.name)); !done)
        return tl::unexpected(explain(done.error(), *header));
    scene->changed(parameters.name);
    SetScene::Acting acting;
    if (scene->bound(parameters.name)) acting = scene->act();
    if (context.json) {
        print_json({{past, parameters.name},
                    {"entries", header->elements},
                    {"interfaces", acting.interfaces},
                    {"notes", acting.notes}});
        return {};
    }
    fmt::print("{} the set {}, which had {} entr{}\n", past, parameters.name, header->elements,
               header->elements == 1 ? "y" : "ies");
    std::fflush(stdout);  // what was done comes first
    for (const std::string& note : acting.notes) fmt::print(stderr, "synward: {}\n", note);
    return {};
}

}  // namespace

void add_set(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<SetParameters>();
    CLI::App* set = add_command(app, context, "set", "List, show, make, empty and destroy ipsets",
                                "synward set show synward4 --match 203.0.113.7");
    set->footer(set->get_footer() +
                "\n\n`synward set COMMAND --help` tells more. Entries: synward deny, allow, mark "
                "and forget, or ipset(8).");
    set->require_subcommand(1);
    const auto add = [&](const char* name, const char* description, const char* example, auto work) {
        CLI::App* command = add_command(*set, context, name, description, example);
        add_set_config(command, parameters->config);
        command->callback(
            [=, &context] { context.work = [=, &context] { return work(*parameters, context); }; });
        return command;
    };
    const auto add_name = [&](CLI::App* command) {
        command->add_option("NAME", parameters->name, "Of the set")->required()->type_name("NAME");
    };
    add("list", "All sets of this host, and which of them carry verdicts", "synward set list -j", list);

    CLI::App* show_command = add("show", "The entries of a set: fate, time left, packets, comment",
                                 "synward set show synward4", show);
    add_name(show_command);
    show_command->add_option("-m,--match", parameters->match, "Only entries that hold it, or that it holds")
        ->type_name("ADDRESS[/LENGTH]");

    CLI::App* create_command = add("create", "Make a set whose entries can carry verdicts",
                                   "synward set create partners hash:net --family inet6", create);
    add_name(create_command);
    create_command
        ->add_option(
            "TYPE", parameters->type,
            "hash:ip, hash:net, hash:ip,port, hash:net,port, hash:net,iface, hash:ip,mark or list:set")
        ->required()
        ->type_name("TYPE");
    create_command->add_option("--family", parameters->family, "inet or inet6")
        ->capture_default_str()
        ->check(CLI::IsMember({"inet", "inet6"}));
    create_command->add_option("--most", parameters->most, "Entries that it can hold")->capture_default_str();

    add_name(
        add("destroy", "Destroy a set", "synward set destroy partners",
            [](const SetParameters& p, const Context& c) { return remove(p, c, "destroy", "destroyed"); }));
    add_name(add("flush", "Take all entries out of a set", "synward set flush partners",
                 [](const SetParameters& p, const Context& c) { return remove(p, c, "flush", "flushed"); }));
}

}  // namespace synward::cli
