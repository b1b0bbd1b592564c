// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/addition.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/config_text.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

std::string default_name(const ServicePlace& place) {
    std::string name = "port-" + ports_text(place.ports);
    for (char& c : name)
        if (c == ',') c = '.';
    if (place.address) {
        name += '-' + place.address->to_string();
        for (char& c : name)
            if (c == ':') c = '.';
    }
    return name.substr(0, SW_NAME_LENGTH - 1);
}

}  // namespace

Result<Addition> make_addition(const ServicePlace& place, const ServiceOptions& options) {
    Addition addition;
    std::string& toml = addition.toml;
    auto line = [&](const char* key, const std::string& value) {
        toml += fmt::format("{} = {}\n", key, value);
    };
    auto word = [&](const char* key, const std::string& value) {
        if (!value.empty()) line(key, toml_string(value));
    };
    auto number = [&](const char* key, const std::optional<std::uint32_t>& value) {
        if (value) line(key, std::to_string(*value));
    };
    toml = "[[service]]\n";
    line("name", toml_string(options.name.empty() ? default_name(place) : options.name));
    line("port", place.ports.size() == 1 ? std::to_string(place.ports[0])
                                         : fmt::format("[{}]", fmt::join(place.ports, ", ")));
    if (place.address) line("address", toml_string(place.address->to_string()));
    word("mode", options.mode);
    word("delivery", options.delivery);
    word("stray", options.stray);
    word("fragment", options.fragment);
    word("malformed", options.malformed);
    word("odd_syn", options.odd_syn);
    word("escalate_default", options.escalate_default);
    word("hold", options.hold);
    number("arm_rate", options.arm_rate);
    number("disarm_rate", options.disarm_rate);
    number("escalate_rate", options.escalate_rate);

    auto config = parse_config(toml, "command line");
    if (!config) {
        // Line and column are of a text that nobody has seen.
        std::string message = config.error().message;
        for (std::size_t at = 0; (at = message.find("command line:", at)) != message.npos;) {
            const std::size_t end = message.find(": ", at);
            if (end == message.npos) break;
            message.erase(at, end + 2 - at);
        }
        return fail(ErrorCode::usage, message);
    }
    addition.config = std::move(*config);
    // Whether somebody reads events is the daemon's matter.
    addition.config.escalation.enabled = false;
    return addition;
}

}  // namespace synward::cli
