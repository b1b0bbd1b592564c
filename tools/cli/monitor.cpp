// SPDX-License-Identifier: GPL-2.0-or-later
// synward monitor: events as they happen, from the daemon or from the kernel.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>

#include "lib/clock.h"
#include "lib/events.h"
#include "lib/json.h"
#include "tools/cli/config_file.h"
#include "tools/cli/context.h"
#include "tools/cli/control_client.h"
#include "tools/cli/event_line.h"
#include "tools/cli/output.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

struct MonitorParameters {
    std::vector<std::string> devices;
    std::uint64_t count = 0;  // 0: for ever
};

// Prints events until there were enough.
class Printer {
  public:
    Printer(const MonitorParameters& parameters, const Context& context)
        : parameters_(parameters), json_(context.json) {}

    void print(const nlohmann::json& event) {
        const auto& wanted = parameters_.devices;
        // What the daemon decides holds for all interfaces, and names none.
        if (enough() || (!wanted.empty() && event.contains("interface") &&
                         std::find(wanted.begin(), wanted.end(), event["interface"]) == wanted.end()))
            return;
        printed_++;
        if (json_) return print_json_line(event);
        fmt::print("{}\n", event_line(event, std::chrono::nanoseconds(monotonic_now()),
                                      std::chrono::system_clock::now()));
        flush_output();
    }
    [[nodiscard]] bool enough() const { return parameters_.count && printed_ >= parameters_.count; }

  private:
    const MonitorParameters& parameters_;
    bool json_;
    std::uint64_t printed_ = 0;
};

Result<void> from_daemon(ControlClient& daemon, Printer& printer) {
    if (const auto answer = daemon.request({{"command", "events"}}); !answer)
        return tl::unexpected(answer.error());
    while (!printer.enough()) {
        const auto line = daemon.next();
        if (!line) return tl::unexpected(line.error());
        if (line->contains("event"))
            printer.print((*line)["event"]);
        else if (line->contains("missed"))
            fmt::print(stderr, "synward: {} events were lost, since they were not read fast enough\n",
                       (*line)["missed"].get<std::uint64_t>());
    }
    return {};
}

Result<void> from_kernel(std::vector<Instance>& instances, Printer& printer) {
    std::vector<EventReader> readers;
    std::vector<pollfd> waiting;
    for (Instance& instance : instances) {
        auto reader = EventReader::create(instance, [&](const Event& event) {
            if (is_observation(event.type)) return;
            const auto policy = instance.read_policy();
            nlohmann::json json = event_json(event, policy ? &*policy : nullptr);
            json["interface"] = instance.interface().name;
            printer.print(json);
        });
        if (!reader) return tl::unexpected(reader.error());
        waiting.push_back({.fd = reader->fd(), .events = POLLIN});
        readers.push_back(std::move(*reader));
    }
    while (!printer.enough()) {
        if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR)
            return fail_errno(errno, "cannot wait for events");
        for (EventReader& reader : readers)
            if (const auto done = reader.consume(); !done) return tl::unexpected(done.error());
    }
    return {};
}

Result<void> run_monitor(const MonitorParameters& parameters, const Context& context) {
    Printer printer(parameters, context);
    if (auto daemon = ControlClient::connect(control_path(context.socket)))
        return from_daemon(*daemon, printer);
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    return from_kernel(*instances, printer);
}

}  // namespace

void add_monitor(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<MonitorParameters>();
    CLI::App* command =
        add_command(app, context, "monitor", "Print events as they happen: arming, disarming, samples",
                    "synward monitor eth0");
    command->footer(
        command->get_footer() +
        "\n\nThe events come from synwardd if it runs, else from the kernel, which gives each event to one "
        "reader only.\nWith --json, each is one line.");
    add_devices(command, parameters->devices);
    command->add_option("-n,--count", parameters->count, "End after so many events");
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_monitor(*parameters, context); };
    });
}

}  // namespace synward::cli
