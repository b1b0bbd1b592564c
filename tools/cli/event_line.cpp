// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/event_line.h"

#include <fmt/format.h>

#include <ctime>

#include "lib/reasons.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

std::string endpoint(const nlohmann::json& event, const char* address, const char* port) {
    const std::string text = event.value(address, "?");
    return fmt::format("{}:{}", text.find(':') == text.npos ? text : '[' + text + ']', event.value(port, 0u));
}

}  // namespace

std::string event_line(const nlohmann::json& event, std::chrono::nanoseconds monotonic_now,
                       std::chrono::system_clock::time_point now) {
    const std::chrono::nanoseconds age =
        monotonic_now - std::chrono::nanoseconds(event.value("time_ns", std::int64_t{0}));
    const auto at = std::chrono::floor<std::chrono::milliseconds>(
        now - std::chrono::duration_cast<std::chrono::microseconds>(age));
    const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
    std::tm local{};
    localtime_r(&seconds, &local);
    char clock[16];
    std::strftime(clock, sizeof clock, "%H:%M:%S", &local);
    const auto milliseconds = at.time_since_epoch().count() % 1000;

    const std::string kind = event.value("event", "?");
    const std::string name = event.value("name", fmt::format("#{}", event.value("service", 0u)));
    // Of the daemon, for all interfaces.
    if (kind == "decision")
        return fmt::format("{}.{:03} {} {}: {} from {}: {}: {}", clock, milliseconds, name,
                           paint(event.value("dry_run", false) ? "dry run" : "decision", Colour::yellow),
                           event.value("kind", "?"), event.value("source", "?"), event.value("verdict", "?"),
                           event.value("text", "?"));
    std::string text =
        fmt::format("{}.{:03} {} {} ", clock, milliseconds, event.value("interface", "?"), name);
    if (kind != "sample") {
        const Colour colour = kind == "disarmed" ? Colour::green : Colour::yellow;
        return text + fmt::format("{}: {} SYN/s", paint(kind, colour), event.value("syn_rate", 0u));
    }
    const std::string reason = event.value("reason", "?");
    const auto known = find_reason(reason);
    return text + fmt::format("{} -> {}: {}{}", endpoint(event, "source", "source_port"),
                              endpoint(event, "destination", "destination_port"), reason,
                              known ? fmt::format(": {}", reasons[*known].text) : std::string());
}

}  // namespace synward::cli
