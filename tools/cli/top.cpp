// SPDX-License-Identifier: GPL-2.0-or-later
// synward top: rates of every service, again and again.
#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <memory>
#include <optional>

#include "lib/instance.h"
#include "lib/names.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"
#include "tools/cli/screen.h"
#include "tools/cli/table.h"
#include "tools/cli/target.h"
#include "tools/cli/traffic.h"

namespace synward::cli {
namespace {

struct TopParameters {
    std::vector<std::string> devices;
    double delay = 1;  // seconds
    std::uint64_t count = 0;
    bool batch = false;
};

struct Row {
    std::string interface;
    std::string name;  // empty: no service
    sw_service service{};
    ServiceState state;
    Traffic traffic;
};

// Reads all interfaces; each reading gives the rates since the one before.
class Meter {
  public:
    explicit Meter(std::vector<Instance> instances) : instances_(std::move(instances)) {}

    Result<std::vector<Row>> read() {
        std::vector<Row> rows;
        for (const Instance& instance : instances_)
            if (auto done = read(instance, rows); !done) return tl::unexpected(done.error());
        return rows;
    }

  private:
    using Clock = std::chrono::steady_clock;
    struct Reading {
        Clock::time_point time;
        std::map<std::string, Counters> packets;  // by service
    };

    Result<void> read(const Instance& instance, std::vector<Row>& rows) {
        const std::string& device = instance.interface().name;
        if (!instance.alive())
            return fail(ErrorCode::missing, fmt::format("synward was taken off {}", device));
        const auto policy = instance.read_policy();
        if (!policy) return tl::unexpected(policy.error());
        const auto states = instance.states();
        if (!states) return tl::unexpected(states.error());
        const auto stats = instance.stats();
        if (!stats) return tl::unexpected(stats.error());
        Reading now{Clock::now(), {}};
        const Reading& before = before_[device];
        const double seconds = std::chrono::duration<double>(now.time - before.time).count();
        for (const ServiceStats& s : stats->services) {
            now.packets[s.name] = s.packets;
            const auto old = before.packets.find(s.name);
            Row row{.interface = device,
                    .name = s.name,
                    .service = policy->services[s.index],
                    .state = (*states)[s.index]};
            if (old != before.packets.end())
                row.traffic = traffic(old->second, s.packets, seconds, policy->config,
                                      s.index ? &row.service : nullptr);
            rows.push_back(std::move(row));
        }
        before_[device] = std::move(now);
        return {};
    }

    std::vector<Instance> instances_;
    std::map<std::string, Reading> before_;
};

std::string_view state_word(const Row& row) {
    if (row.service.mode == SW_MODE_OFF) return "off";
    if (!row.state.armed) return "idle";
    return row.service.mode == SW_MODE_MONITOR ? "would arm" : "armed";
}

std::string table_text(const std::vector<Row>& rows) {
    constexpr auto right = Table::Align::right;
    Table table({{"DEV"},
                 {"SERVICE"},
                 {"MODE"},
                 {"STATE"},
                 {"SYN/s", right},
                 {"ANSWERED/s", right},
                 {"VALIDATED/s", right},
                 {"STRAYS/s", right},
                 {"DROPPED/s", right},
                 {"PACKETS/s", right}});
    Traffic total;
    double syns = 0;
    auto add = [&](std::vector<Table::Cell> cells, double syn_rate, const Traffic& t) {
        for (const double rate : {syn_rate, t.answered, t.validated, t.strays, t.dropped, t.packets})
            cells.emplace_back(rate_text(rate));
        table.add(std::move(cells));
    };
    for (const Row& row : rows) {
        total += row.traffic;
        if (row.name.empty()) {
            add({row.interface, {"-", Colour::dim}, "", ""}, 0, row.traffic);
            continue;
        }
        syns += row.state.syn_rate;
        const std::string_view word = state_word(row);
        const Colour colour = word == "idle" || word == "off" ? Colour::dim : Colour::yellow;
        add({row.interface, row.name, std::string(mode_name(row.service.mode)), {std::string(word), colour}},
            row.state.syn_rate, row.traffic);
    }
    add({{"total", Colour::bold}, "", "", ""}, syns, total);
    return table.text();
}

nlohmann::json traffic_json(const Traffic& t) {
    return {{"packets", t.packets},
            {"syn_answered", t.answered},
            {"ack_validated", t.validated},
            {"strays", t.strays},
            {"dropped", t.dropped}};
}

nlohmann::json rows_json(const std::vector<Row>& rows) {
    nlohmann::json services = nlohmann::json::array();
    Traffic total;
    for (const Row& row : rows) {
        total += row.traffic;
        nlohmann::json one = traffic_json(row.traffic);
        one["interface"] = row.interface;
        one["name"] = row.name.empty() ? nlohmann::json() : nlohmann::json(row.name);
        if (!row.name.empty()) {
            one["mode"] = mode_name(row.service.mode);
            one["armed"] = row.state.armed;
            one["syn_rate"] = row.state.syn_rate;
        }
        services.push_back(std::move(one));
    }
    return {{"time", std::time(nullptr)}, {"services", std::move(services)}, {"total", traffic_json(total)}};
}

std::string heading() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char clock[16];
    std::strftime(clock, sizeof clock, "%H:%M:%S", &local);
    return fmt::format("synward top, {}\n", clock);
}

Result<void> run_top(const TopParameters& parameters, const Context& context) {
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    Meter meter(std::move(*instances));
    const auto delay = std::chrono::milliseconds(static_cast<std::int64_t>(parameters.delay * 1000));
    // Rates need two readings; the first table comes after one delay.
    if (auto first = meter.read(); !first) return tl::unexpected(first.error());
    std::optional<Screen> screen;
    if (!context.json && !parameters.batch && isatty(STDOUT_FILENO)) {
        screen.emplace();
        screen->draw(heading() + "measuring ...\n");
    }
    for (std::uint64_t i = 0; !parameters.count || i < parameters.count; i++) {
        if (!(screen ? screen->wait(delay) : wait_quietly(delay))) return {};
        const auto rows = meter.read();
        if (!rows) return tl::unexpected(rows.error());
        if (context.json)
            print_json_line(rows_json(*rows));
        else if (screen)
            screen->draw(heading() + '\n' + table_text(*rows) + "\nq quits\n");
        else
            fmt::print("{}{}\n", heading(), table_text(*rows));
        flush_output();
    }
    return {};
}

}  // namespace

void add_top(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<TopParameters>();
    CLI::App* command =
        add_command(app, context, "top", "Show the rates of every service, again and again; q quits",
                    "synward top --batch -n 3");
    add_devices(command, parameters->devices);
    command->add_flag("-b,--batch", parameters->batch, "One table below the other, as without a terminal");
    command->add_option("-n,--count", parameters->count, "End after so many tables");
    command->add_option("--delay", parameters->delay, "Seconds between two tables (default 1)")
        ->check(CLI::Range(0.1, 3600.0));
    command->callback(
        [parameters, &context] { context.work = [=, &context] { return run_top(*parameters, context); }; });
}

}  // namespace synward::cli
