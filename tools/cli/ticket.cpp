// SPDX-License-Identifier: GPL-2.0-or-later
// synward ticket: lists and deletes what the deciders decided and the program goes by.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <memory>
#include <optional>

#include "lib/decide/decision.h"
#include "lib/instance.h"
#include "lib/names.h"
#include "lib/sets/entry_words.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

using nlohmann::json;

struct TicketParameters {
    std::string source;
    std::vector<std::string> devices;
};

// "mss,sack,ts,nop,wscale", in the order of the SYN.
std::string layout_text(std::uint64_t layout) {
    std::vector<std::string> kinds;
    for (int shift = 56; shift >= 0; shift -= 8) {
        const auto kind = static_cast<unsigned>(layout >> shift & 0xff);
        if (!kind && kinds.empty()) continue;
        constexpr std::array<std::string_view, 9> names{"eol", "nop", "mss", "wscale", "sack",
                                                        "",    "",    "",    "ts"};
        const bool named = kind < names.size() && !names[kind].empty();
        kinds.push_back(named ? std::string(names[kind]) : std::to_string(kind));
    }
    return kinds.empty() ? "none" : fmt::format("{}", fmt::join(kinds, ","));
}

json shape_json(const sw_shape& shape) {
    return {{"family", shape.family == SW_IPV6 ? "ipv6" : "ipv4"},
            {"options", layout_text(shape.layout)},
            {"header", shape.header},
            {"hops", shape.hops},
            {"wscale", shape.wscale == SW_SHAPE_NO_WSCALE ? json() : json(shape.wscale)}};
}

json ticket_json(const TicketEntry& ticket, const CompiledPolicy& policy) {
    const bool shape = ticket.doubt == SW_DOUBT_SHAPE;
    // The service may be gone.
    const std::string name = ticket.service < SW_SERVICES ? policy.services[ticket.service].name : "";
    return {{"source", shape ? json() : json(ticket.source.to_string())},
            {"shape", shape ? shape_json(ticket.shape) : json()},
            {"service", name.empty() ? json() : json(name)},
            {"doubt", doubt_name(ticket.doubt)},
            {"action", action_name(ticket.action)},
            {"decider", decider_name(static_cast<DeciderId>(ticket.decider))},
            {"left_ms", ticket.left.count()}};
}

std::string subject_text(const json& ticket) {
    if (ticket["source"].is_string()) return ticket["source"];
    const json& shape = ticket["shape"];
    return fmt::format("SYNs of {}, options {}, hops {}", shape["family"].get<std::string>(),
                       shape["options"].get<std::string>(), shape["hops"].get<unsigned>());
}

Result<void> list_tickets(const TicketParameters& parameters, const Context& context) {
    const auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    json interfaces = json::array();
    Table table({{"DEV"},
                 {"SOURCE"},
                 {"SERVICE"},
                 {"DOUBT"},
                 {"ACTION"},
                 {"DECIDER"},
                 {"LEFT", Table::Align::right}});
    for (const Instance& instance : *instances) {
        const std::string& device = instance.interface().name;
        const auto policy = instance.read_policy();
        if (!policy) return tl::unexpected(policy.error());
        const auto tickets = instance.tickets();
        if (!tickets) return tl::unexpected(tickets.error());
        json all = json::array();
        for (const TicketEntry& ticket : *tickets) {
            json one = ticket_json(ticket, *policy);
            table.add({device,
                       subject_text(one),
                       one["service"].is_string() ? one["service"].get<std::string>() : std::string("-"),
                       one["doubt"].get<std::string>(),
                       {one["action"].get<std::string>(),
                        ticket.action == SW_ACTION_DROP ? Colour::red : Colour::green},
                       one["decider"].get<std::string>(),
                       seconds_text(static_cast<std::uint64_t>(ticket.left.count() + 999) / 1000)});
            all.push_back(std::move(one));
        }
        interfaces.push_back({{"interface", device}, {"tickets", std::move(all)}});
    }
    if (context.json)
        print_json({{"interfaces", std::move(interfaces)}});
    else if (table.empty())
        fmt::print("no ticket is in force: about doubtful packets synwardd is asked, or nobody\n");
    else
        fmt::print("{}", table.text());
    return {};
}

// Those of the prefix, or all.
Result<void> delete_tickets(const TicketParameters& parameters, const Context& context,
                            const std::optional<Prefix>& sources) {
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    json interfaces = json::array();
    std::uint32_t together = 0;
    for (Instance& instance : *instances) {
        const auto deleted = instance.delete_tickets(sources);
        if (!deleted) return tl::unexpected(deleted.error());
        together += *deleted;
        interfaces.push_back({{"interface", instance.interface().name}, {"deleted", *deleted}});
        if (!context.json && (*deleted || !sources))
            fmt::print("{}: {} ticket{} deleted\n", instance.interface().name, *deleted,
                       *deleted == 1 ? "" : "s");
    }
    if (sources && !together)
        return fail(ErrorCode::missing, fmt::format("no ticket is about {}; `synward ticket list` shows all",
                                                    sources->to_string()));
    if (context.json) print_json({{"interfaces", std::move(interfaces)}});
    return {};
}

Result<void> delete_tickets_of(const TicketParameters& parameters, const Context& context) {
    const auto source = parse_entry_source(parameters.source);
    if (!source) return tl::unexpected(source.error());
    return delete_tickets(parameters, context, *source);
}

Result<void> flush_tickets(const TicketParameters& parameters, const Context& context) {
    return delete_tickets(parameters, context, std::nullopt);
}

}  // namespace

void add_ticket(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<TicketParameters>();
    CLI::App* ticket = add_command(app, context, "ticket", "List and delete what was decided about sources",
                                   "synward ticket delete 203.0.113.7");
    ticket->footer(
        ticket->get_footer() +
        "\n\n`synward ticket COMMAND --help` tells more. One source, with the reasons: synward why.");
    ticket->require_subcommand(1);
    const auto add = [&](const char* name, const char* description, const char* example, auto work) {
        CLI::App* command = add_command(*ticket, context, name, description, example);
        add_device_option(command, parameters->devices);
        command->callback(
            [=, &context] { context.work = [=, &context] { return work(*parameters, context); }; });
        return command;
    };
    add("list", "All tickets in force, and for how long", "synward ticket list -j", list_tickets);
    add("delete", "Delete the tickets about a source; it is asked about again",
        "synward ticket delete 203.0.113.0/24", delete_tickets_of)
        ->add_option("ADDRESS", parameters->source, "The source, or a prefix of sources")
        ->required()
        ->type_name("ADDRESS[/LENGTH]");
    add("flush", "Delete all tickets, also those about shapes of SYNs", "synward ticket flush --dev eth0",
        flush_tickets);
}

}  // namespace synward::cli
