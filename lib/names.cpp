// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/names.h"

#include <array>

namespace synward {
namespace {

constexpr std::array<std::string_view, SW_MODE_COUNT> modes{"off", "monitor", "auto", "cookie"};
constexpr std::array<std::string_view, SW_DELIVERY_COUNT> deliveries{"auto", "reqsk", "kernel", "synproxy"};
constexpr std::array<std::string_view, SW_ACTION_COUNT> actions{"pass", "drop", "escalate"};
constexpr std::array<std::string_view, SW_FATE_COUNT> fates{"none", "deny", "allow", "check"};
constexpr std::array<std::string_view, SW_EVENT_COUNT> events{
#define X(NAME, name, text) #name,
    SW_EVENTS(X)
#undef X
};
constexpr std::array<std::string_view, SW_EVENT_COUNT> event_texts{
#define X(NAME, name, text) text,
    SW_EVENTS(X)
#undef X
};

template <std::size_t N>
std::string_view word(const std::array<std::string_view, N>& words, unsigned index) {
    return index < N ? words[index] : std::string_view("unknown");
}

template <typename Enum, std::size_t N>
std::optional<Enum> number(const std::array<std::string_view, N>& words, std::string_view wanted) {
    for (std::size_t i = 0; i < N; i++)
        if (words[i] == wanted) return static_cast<Enum>(i);
    return std::nullopt;
}

}  // namespace

std::string_view mode_name(unsigned mode) {
    return word(modes, mode);
}
std::string_view delivery_name(unsigned delivery) {
    return word(deliveries, delivery);
}
std::string_view action_name(unsigned action) {
    return word(actions, action);
}
std::string_view fate_name(unsigned fate) {
    return word(fates, fate);
}
std::string_view event_name(unsigned type) {
    return word(events, type);
}
std::string_view event_text(unsigned type) {
    return word(event_texts, type);
}

std::optional<sw_mode> parse_mode(std::string_view text) {
    return number<sw_mode>(modes, text);
}
std::optional<sw_delivery> parse_delivery(std::string_view text) {
    return number<sw_delivery>(deliveries, text);
}
std::optional<sw_action> parse_action(std::string_view text) {
    return number<sw_action>(actions, text);
}

std::string options_text(unsigned options) {
    std::string text;
    auto add = [&](unsigned bit, std::string_view name) {
        if (!(options & bit)) return;
        if (!text.empty()) text += ", ";
        text += name;
    };
    add(SW_OPTION_SACK, "sack");
    add(SW_OPTION_TIMESTAMP, "timestamps");
    add(SW_OPTION_WSCALE, "wscale");
    add(SW_OPTION_ECN, "ecn");
    return text.empty() ? "none" : text;
}

}  // namespace synward
