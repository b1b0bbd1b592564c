// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/config_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "lib/names.h"

namespace synward {
namespace {

// One section: its heading comes with its first line.
class Section {
  public:
    explicit Section(std::string_view heading) : heading_(heading) {}

    void line(std::string_view key, std::string_view value) {
        if (text_.empty()) text_ = fmt::format("{}\n", heading_);
        text_ += fmt::format("{} = {}\n", key, value);
    }
    void number(std::string_view key, std::uint64_t value, std::uint64_t usual) {
        if (value != usual) line(key, std::to_string(value));
    }
    void word(std::string_view key, std::string_view value, std::string_view usual) {
        if (value != usual) line(key, toml_string(value));
    }
    template <typename T>
    void optional(std::string_view key, const std::optional<T>& value, const std::optional<T>& usual) {
        if (value && value != usual) line(key, fmt::to_string(*value));
    }
    // A single one without brackets.
    void list(std::string_view key, const std::vector<std::string>& values) {
        if (!values.empty())
            line(key, values.size() == 1 ? values[0] : fmt::format("[{}]", fmt::join(values, ", ")));
    }
    [[nodiscard]] const std::string& text() const { return text_; }

  private:
    std::string heading_;
    std::string text_;
};

std::string_view odd_syn_name(sw_action action) {
    return action == SW_ACTION_PASS ? "answer" : action_name(action);
}

void write_settings(Section& out, const Settings& s, const Settings& usual) {
    out.word("mode", mode_name(s.mode), mode_name(usual.mode));
    out.word("delivery", delivery_name(s.delivery), delivery_name(usual.delivery));
    out.word("stray", action_name(s.stray), action_name(usual.stray));
    out.word("fragment", action_name(s.fragment), action_name(usual.fragment));
    out.word("malformed", action_name(s.malformed), action_name(usual.malformed));
    out.word("odd_syn", odd_syn_name(s.odd_syn), odd_syn_name(usual.odd_syn));
    out.number("escalate_rate", s.escalate_rate, usual.escalate_rate);
    out.word("escalate_default", action_name(s.escalate_default), action_name(usual.escalate_default));
    out.number("arm_rate", s.arm_rate, usual.arm_rate);
    out.optional("disarm_rate", s.disarm_rate, usual.disarm_rate);
    if (s.hold != usual.hold) out.line("hold", toml_string(duration_text(s.hold)));
    out.optional("mss", s.mss, usual.mss);
    out.optional("wscale", s.wscale, usual.wscale);
    out.optional("sack", s.sack, usual.sack);
    out.optional("timestamps", s.timestamps, usual.timestamps);
    out.optional("ecn", s.ecn, usual.ecn);
}

std::string service_text(const ServiceConfig& service, const Settings& usual) {
    Section out("[[service]]");
    out.line("name", toml_string(service.name));
    std::vector<std::string> ports;
    for (const std::uint16_t port : service.ports) ports.push_back(std::to_string(port));
    out.list("port", ports);
    std::vector<std::string> addresses;
    if (service.local) addresses.push_back(toml_string("local"));
    for (const Address& address : service.addresses) addresses.push_back(toml_string(address.to_string()));
    out.list("address", addresses);
    write_settings(out, service.settings, usual);
    return out.text();
}

}  // namespace

std::string toml_string(std::string_view text) {
    // A JSON string is a TOML basic string, but for what JSON writes as two surrogates.
    const std::string json =
        nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    std::string toml;
    for (std::size_t i = 0; i < json.size(); i++) {
        if (json[i] != '\\') {
            toml += json[i];
            continue;
        }
        const auto unit = [&](std::size_t at) { return std::stoul(json.substr(at + 2, 4), nullptr, 16); };
        if (json[i + 1] != 'u' || unit(i) < 0xd800 || unit(i) > 0xdbff) {
            toml += json[i];
            toml += json[++i];
            continue;
        }
        toml += fmt::format("\\U{:08x}", 0x10000 + ((unit(i) - 0xd800) << 10) + (unit(i + 6) - 0xdc00));
        i += 11;
    }
    return toml;
}

std::string config_text(const Config& config) {
    Section daemon("[daemon]");
    std::vector<std::string> names;
    for (const std::string& name : config.daemon.interfaces) names.push_back(toml_string(name));
    // A list even of one, as everybody writes it.
    if (!names.empty()) daemon.line("interfaces", fmt::format("[{}]", fmt::join(names, ", ")));
    daemon.optional("gateway", config.daemon.gateway, std::optional<bool>{});
    Section defaults("[defaults]");
    write_settings(defaults, config.defaults, Settings{});
    Section limits("[limits]");
    const LimitsConfig usual;
    limits.number("reply_rate", config.limits.reply_rate, usual.reply_rate);
    limits.number("prefix_rate", config.limits.prefix_rate, usual.prefix_rate);
    limits.number("flows", config.limits.flows, usual.flows);
    limits.number("sources", config.limits.sources, usual.sources);

    std::string text;
    const auto add = [&text](const std::string& section) {
        if (section.empty()) return;
        if (!text.empty()) text += '\n';
        text += section;
    };
    add(daemon.text());
    add(defaults.text());
    add(limits.text());
    for (const ServiceConfig& service : config.services) add(service_text(service, config.defaults));
    return text;
}

}  // namespace synward
