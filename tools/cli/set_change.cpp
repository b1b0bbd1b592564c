// SPDX-License-Identifier: GPL-2.0-or-later
// synward deny, allow, mark, forget: entries of ipsets, in words.
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include "lib/sets/entry_words.h"
#include "tools/cli/lockout.h"
#include "tools/cli/other_sets.h"
#include "tools/cli/output.h"
#include "tools/cli/set_scene.h"

namespace synward::cli {
namespace {

enum class Act { deny, allow, mark, forget };

struct SetChangeParameters {
    Act act = Act::deny;
    std::string fate;
    std::vector<std::string> sources;
    std::string lifetime;
    std::string comment;
    std::string set;
    std::string port;
    std::string interface;
    std::string config;
    bool force = false;
};

// What is asked for, all of it checked before anything is done.
struct Order {
    std::vector<Prefix> sources;
    std::optional<PortWord> port;
    EntryVerdict verdict;
};

Result<std::vector<Prefix>> read_sources(const std::vector<std::string>& words) {
    std::vector<Prefix> sources;
    const auto take = [&](std::string_view word, const std::string& where) -> Result<void> {
        auto source = parse_entry_source(word);
        if (!source) return fail(source.error().code, where + source.error().message);
        sources.push_back(*source);
        return {};
    };
    for (const std::string& word : words) {
        if (word != "-") {
            if (auto done = take(word, ""); !done) return tl::unexpected(done.error());
            continue;
        }
        std::string line;
        for (std::size_t number = 1; std::getline(std::cin, line); number++) {
            constexpr const char* blanks = " \t\r";
            line.erase(std::min(line.find('#'), line.size()));
            const std::size_t begin = line.find_first_not_of(blanks);
            if (begin == std::string::npos) continue;
            line = line.substr(begin, line.find_last_not_of(blanks) - begin + 1);
            if (auto done = take(line, fmt::format("line {}: ", number)); !done)
                return tl::unexpected(done.error());
        }
    }
    std::sort(sources.begin(), sources.end());
    sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
    if (sources.empty()) return fail(ErrorCode::usage, "no address was given");
    return sources;
}

Result<Order> make_order(const SetChangeParameters& parameters, const SetScene& scene) {
    Order order;
    if (!parameters.port.empty()) {
        const auto port = parse_port_word(parameters.port);
        if (!port) return tl::unexpected(port.error());
        order.port = *port;
    }
    EntryVerdict& verdict = order.verdict;
    verdict.mark = parameters.act == Act::allow ? SW_MARK_ALLOW : SW_MARK_DENY;
    if (parameters.act == Act::mark) {
        const auto mark = parse_fate_word(parameters.fate, scene.fates());
        if (!mark) return tl::unexpected(mark.error());
        verdict.mark = *mark;
    }
    if (!parameters.lifetime.empty()) {
        const auto lifetime = parse_duration(parameters.lifetime);
        if (!lifetime || lifetime->count() < 1000 || lifetime->count() % 1000 != 0)
            return fail(ErrorCode::usage,
                        fmt::format("--for: '{}' is no time in whole seconds; give one as 30s, 10m, 2h or 1d",
                                    parameters.lifetime));
        verdict.timeout = std::chrono::duration_cast<std::chrono::seconds>(*lifetime);
    }
    verdict.comment = parameters.comment;
    auto sources = read_sources(parameters.sources);
    if (!sources) return tl::unexpected(sources.error());
    order.sources = std::move(*sources);
    return order;
}

Result<void> check_lockout(const Order& order, const SetChangeParameters& parameters, const Fates& fates) {
    const Fate* fate = fates.find(order.verdict.mark);
    if (parameters.force || !fate || fate->verdict != FateVerdict::drop) return {};
    std::optional<std::uint16_t> port;
    if (order.port) {
        if (order.port->protocol != IPPROTO_TCP) return {};
        port = order.port->port;
    }
    const auto others = bystanders();
    for (const Prefix& source : order.sources)
        if (const Bystander* found = shut_out(others, source, port))
            return fail(ErrorCode::usage,
                        fmt::format("{} would be denied too, and {}; if that is meant, say --force",
                                    source.is_host() ? "it" : source.to_string(), found->who));
    return {};
}

// One set, and what becomes of it.
struct Target {
    SetHeader header;
    bool there = false;
    std::vector<Prefix> sources;
    std::vector<Prefix> missed{};  // that were to be forgotten and are not there
    // For each source: the command, what it calls the entry, and what the set calls it.
    std::vector<std::string> commands;
    std::vector<std::string> elements;
    std::vector<std::string> words;
    std::map<std::string, std::string> before;  // of `words`: the command that puts it back
};

// As the set has what was added there.
SetEntry entry_at(const SetHeader& set, const EntryPlace& place) {
    SetEntry entry;
    entry.prefix = place.source;
    // Of a set with a netmask, one entry for all in it.
    if (set.netmask) entry.prefix = Prefix::around(place.source.address, set.netmask);
    if (place.port) {
        entry.protocol = place.port->protocol;
        entry.port = place.port->port;
    }
    entry.interface = place.interface;
    return entry;
}

SetHeader planned(const std::string& name, SetKind kind, sw_family family) {
    return {.name = name,
            .type = std::string(set_kind_type(kind)),
            .kind = kind,
            .family = family,
            .skbinfo = true,
            .timeout = true,
            .counters = true,
            .comment = true,
            .most = set_entries_most};
}

Result<std::vector<Target>> choose_sets(const SetChangeParameters& parameters, const Order& order,
                                        SetReader& reader) {
    std::vector<Target> targets;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        Target target;
        for (const Prefix& source : order.sources)
            if (source.address.family == family) target.sources.push_back(source);
        if (target.sources.empty()) continue;
        const std::string name =
            !parameters.set.empty()
                ? parameters.set
                : fmt::format("synward{}{}", family == SW_IPV4 ? 4 : 6, order.port ? "-port" : "");
        auto header = reader.header(name);
        target.there = header.has_value();
        if (header)
            target.header = std::move(*header);
        else if (header.error().code != ErrorCode::missing)
            return tl::unexpected(header.error());
        else if (parameters.act == Act::forget)
            return fail(ErrorCode::missing, fmt::format("there is no set {}, so nothing to forget", name));
        else if (!parameters.set.empty())
            return fail(
                ErrorCode::missing,
                fmt::format("there is no set {}: make it by `synward set create {} hash:{}{}`", name, name,
                            order.port ? "net,port" : "net", family == SW_IPV6 ? " --family inet6" : ""));
        else
            target.header = planned(name, order.port ? SetKind::net_port : SetKind::net, family);
        for (const Prefix& source : target.sources) {
            const EntryPlace place{source, order.port, parameters.interface};
            auto element = entry_word(target.header, place);
            if (!element) return tl::unexpected(element.error());
            auto command = parameters.act == Act::forget
                               ? Result<std::string>(fmt::format("del {} {}", name, *element))
                               : add_command(target.header, place, order.verdict);
            if (!command) return tl::unexpected(command.error());
            target.commands.push_back(std::move(*command));
            target.elements.push_back(std::move(*element));
            target.words.push_back(entry_word(target.header.kind, entry_at(target.header, place)));
        }
        targets.push_back(std::move(target));
    }
    return targets;
}

// Entries as they are before several of them change, so that a failure leaves what was.
Result<void> remember(Target& target, SetReader& reader) {
    if (!target.there) return {};
    const std::set<std::string> words(target.words.begin(), target.words.end());
    const auto read = reader.read(target.header.name, [&](const SetEntry& entry) {
        std::string word = entry_word(target.header.kind, entry);
        if (words.contains(word)) target.before[std::move(word)] = restore_command(target.header, entry);
    });
    if (!read) return tl::unexpected(read.error());
    return {};
}

void undo(const Target& target, std::size_t done, Ipset& ipset) {
    for (std::size_t i = 0; i < done; i++) {
        const auto before = target.before.find(target.words[i]);
        // What fails here is worse than nobody knows: the first error is told.
        if (before != target.before.end())
            (void)ipset.run(before->second);
        else
            (void)ipset.run(fmt::format("del {} {} -exist", target.header.name, target.elements[i]));
    }
    if (!target.there) (void)ipset.run("destroy " + target.header.name);
}

Result<void> add_all(std::vector<Target>& targets, SetTools& tools) {
    std::size_t count = 0;
    for (const Target& target : targets) count += target.sources.size();
    for (Target& target : targets)
        if (count > 1)
            if (auto done = remember(target, tools.reader); !done) return done;
    for (std::size_t t = 0; t < targets.size(); t++) {
        Target& target = targets[t];
        std::size_t done = 0;
        Result<std::string> result;
        if (!target.there)
            result = tools.ipset.run(
                create_command(target.header.name, target.header.kind, *target.header.family) + " -exist");
        while (result && done < target.commands.size()) {
            result = tools.ipset.run(target.commands[done]);
            if (result) done++;
        }
        if (result) continue;
        Error error = result.error();
        if (const auto header = tools.reader.header(target.header.name))
            error = explain(std::move(error), *header);
        else
            error = explain(std::move(error), target.header);
        undo(target, done, tools.ipset);
        while (t-- > 0) undo(targets[t], targets[t].commands.size(), tools.ipset);
        if (count > 1) error.message += "; nothing was changed";
        return tl::unexpected(std::move(error));
    }
    return {};
}

// Takes out what is there; the sources that are not are taken out of the target.
Result<void> forget_all(std::vector<Target>& targets, SetTools& tools, std::string& absent) {
    for (Target& target : targets) {
        std::vector<Prefix> gone, missed;
        for (std::size_t i = 0; i < target.sources.size(); i++) {
            const auto done = tools.ipset.run(target.commands[i]);
            if (done)
                gone.push_back(target.sources[i]);
            else if (done.error().message.find("not added") != std::string::npos)
                missed.push_back(target.sources[i]);
            else
                return tl::unexpected(done.error());
        }
        // What goes on to act on them, since that is what the operator wants to end.
        std::map<Prefix, std::string> covers;
        if (!missed.empty())
            (void)tools.reader.read(target.header.name, [&](const SetEntry& entry) {
                for (const Prefix& source : missed)
                    if (entry.prefix.length < source.length && entry.prefix.contains(source.address))
                        covers[source] = entry_word(target.header.kind, entry);
            });
        for (const Prefix& source : missed) {
            absent += fmt::format("{}the set {} has no entry {}", absent.empty() ? "" : "\n",
                                  target.header.name, source.to_string());
            if (const auto cover = covers.find(source); cover != covers.end())
                absent += fmt::format(", but {}, which covers it: forget that, or `synward allow {}`",
                                      cover->second, source.to_string());
        }
        target.sources = std::move(gone);
        target.missed = std::move(missed);
    }
    return {};
}

std::string sources_text(const std::vector<Prefix>& sources) {
    constexpr std::size_t most = 3;
    if (sources.size() > most) return fmt::format("{} sources", sources.size());
    std::string text;
    for (const Prefix& source : sources) text += (text.empty() ? "" : ", ") + source.to_string();
    return text;
}

std::string done_text(const SetChangeParameters& parameters, const Order& order, const Fates& fates) {
    switch (parameters.act) {
        case Act::deny:
            return "denied";
        case Act::allow:
            return "allowed";
        case Act::mark:
            return fmt::format("marked {} (0x{:02x})", fate_word(order.verdict.mark, fates),
                               order.verdict.mark);
        case Act::forget:
            break;
    }
    return "forgot";
}

// "10 min", as it was given; not "10 min 0 s".
std::string lifetime_text(std::chrono::seconds lifetime) {
    std::string text = seconds_text(static_cast<std::uint64_t>(lifetime.count()));
    for (const std::string_view rest : {" 0 s", " 0 min", " 0 h"})
        if (text.size() > rest.size() && text.ends_with(rest)) text.resize(text.size() - rest.size());
    return text;
}

// The driver hook looks at TCP, and at no marks of packets.
bool seen_by_driver(const Order& order, const SetHeader& header) {
    return header.kind != SetKind::ip_mark && (!order.port || order.port->protocol == IPPROTO_TCP);
}

// The entry's part in what happens to packets; after the name of the set.
std::string acts_text(const Order& order, const SetHeader& header, const SetScene& scene,
                      const SetScene::Acting& acting, bool forget) {
    if (!scene.bound(header.name)) return "";
    const bool driver = forget || scene.fates().at_driver(order.verdict.mark) != SW_FATE_CHECK;
    std::string text;
    if (seen_by_driver(order, header) && driver)
        for (const std::string& interface : acting.interfaces)
            text += fmt::format("{}{}", text.empty() ? ", at the driver hook of " : ", ", interface);
    if (acting.marks) text += text.empty() ? ", by the connection's mark" : " and by the connection's mark";
    return text;
}

Result<void> run_set_change(const SetChangeParameters& parameters, const Context& context) {
    auto scene = SetScene::open(parameters.config, context);
    if (!scene) return tl::unexpected(scene.error());
    if (!parameters.set.empty())
        if (auto good = check_set_name(parameters.set); !good) return good;
    const auto order = make_order(parameters, *scene);
    if (!order) return tl::unexpected(order.error());
    const bool forget = parameters.act == Act::forget;
    if (!forget)
        if (auto good = check_lockout(*order, parameters, scene->fates()); !good) return good;
    auto tools = open_set_tools();
    if (!tools) return tl::unexpected(tools.error());
    auto targets = choose_sets(parameters, *order, tools->reader);
    if (!targets) return tl::unexpected(targets.error());
    std::string absent;
    if (auto done = forget ? forget_all(*targets, *tools, absent) : add_all(*targets, *tools); !done)
        return done;

    for (const Target& target : *targets)
        if (!target.sources.empty()) scene->changed(target.header.name);
    auto acting = scene->act();
    const std::string done = done_text(parameters, *order, scene->fates());
    nlohmann::json sets = nlohmann::json::array();
    for (const Target& target : *targets) {
        const std::string& name = target.header.name;
        for (const auto* sources : {&target.sources, &target.missed})
            for (std::string& note :
                 notes_on_other_sets(tools->reader, scene->config().classify.sets, name, *sources, forget))
                acting.notes.push_back(std::move(note));
        if (target.sources.empty()) continue;
        if (!context.json)
            fmt::print("{} {}{}{} in set {}{}\n", done, sources_text(target.sources),
                       order->port ? " for " + port_word_text(*order->port) : "",
                       order->verdict.timeout.count() ? " for " + lifetime_text(order->verdict.timeout) : "",
                       name, acts_text(*order, target.header, *scene, acting, forget));
        if (!scene->bound(name))
            acting.notes.push_back(
                fmt::format("the set {} is not in the list classify.sets of the config, so nothing acts upon "
                            "it unless a list "
                            "or rule that is names it",
                            name));
        else if (!seen_by_driver(*order, target.header) && !acting.marks)
            acting.notes.push_back(
                "the driver hook looks at TCP, so that this entry acts by the connection's mark only, and "
                "nothing marks connections: that takes synwardd and a section [classify]");
        std::vector<std::string> sources;
        for (const Prefix& source : target.sources) sources.push_back(source.to_string());
        sets.push_back({{"name", name}, {"created", !target.there}, {"sources", std::move(sources)}});
    }
    const bool denies = scene->fates().at_driver(order->verdict.mark) == SW_FATE_DENY;
    if (!forget && denies && !acting.interfaces.empty() && !acting.marks)
        acting.notes.push_back(
            "the driver hook looks at the ports of services alone (synward status): whatever else these "
            "sources send is dropped only where connections are marked, which takes synwardd and a section "
            "[classify]");
    if (context.json) {
        nlohmann::json answer{{"sets", std::move(sets)},
                              {"interfaces", acting.interfaces},
                              {"marks", acting.marks},
                              {"notes", acting.notes}};
        if (!forget) {
            answer["fate"] = fate_word(order->verdict.mark, scene->fates());
            answer["mark"] = order->verdict.mark;
            answer["timeout"] = order->verdict.timeout.count();
        }
        print_json(answer);
    } else {
        std::fflush(stdout);  // what was done comes first
        for (const std::string& note : acting.notes) fmt::print(stderr, "synward: {}\n", note);
    }
    if (!absent.empty()) return fail(ErrorCode::missing, absent);
    return {};
}

void add_change(CLI::App& app, Context& context, Act act, const char* name, const char* description,
                const char* example) {
    auto parameters = std::make_shared<SetChangeParameters>();
    parameters->act = act;
    CLI::App* command = add_command(app, context, name, description, example);
    if (act == Act::mark)
        command
            ->add_option("FATE", parameters->fate,
                         "accept, a fate of the config, or 0x10 to 0xff, or 0x0 for no fate")
            ->required();
    command
        ->add_option("ADDRESS", parameters->sources,
                     "Addresses and prefixes; - reads them from stdin, one a line")
        ->required()
        ->type_name("ADDRESS[/LENGTH]");
    if (act != Act::forget) {
        command->add_option("--for", parameters->lifetime, "How long, as 30s, 10m, 2h or 1d; else for ever")
            ->type_name("TIME");
        command->add_option("--comment", parameters->comment, "Kept with the entry");
    }
    if (act == Act::deny || act == Act::mark)
        command->add_flag("--force", parameters->force,
                          "Also where it shuts out an SSH session or an address of this host");
    command->add_option("--port", parameters->port, "At this port only")->type_name("[PROTOCOL:]PORT");
    command
        ->add_option("--interface", parameters->interface, "By this interface only: sets of hash:net,iface")
        ->type_name("DEV");
    command
        ->add_option("--set", parameters->set,
                     "An ipset; else synward4 or synward6, with --port synward4-port or synward6-port")
        ->type_name("NAME");
    add_set_config(command, parameters->config);
    command->footer(
        command->get_footer() +
        "\n\nEntries are those of ipset(8), whose commands are equally valid. The last word about an "
        "address in a set wins;\nwhere several sets have one, the first of classify.sets does.\nWithout "
        "synwardd, give the config that `synward load` was given.");
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_set_change(*parameters, context); };
    });
}

}  // namespace

void add_deny(CLI::App& app, Context& context) {
    add_change(app, context, Act::deny, "deny",
               "Drop what comes from these addresses, by an entry of an ipset",
               "synward deny 203.0.113.0/24 --for 10m --comment 'scans ssh'");
}

void add_allow(CLI::App& app, Context& context) {
    add_change(app, context, Act::allow, "allow", "Let these addresses pass without a check",
               "synward allow 203.0.113.7 2001:db8:7::/48");
}

void add_mark(CLI::App& app, Context& context) {
    add_change(app, context, Act::mark, "mark", "Give connections of these addresses a fate of the config",
               "synward mark quarantine 203.0.113.0/24 --for 1h");
}

void add_forget(CLI::App& app, Context& context) {
    add_change(app, context, Act::forget, "forget", "Take the entries of these addresses out of their ipset",
               "synward forget 203.0.113.0/24");
}

}  // namespace synward::cli
