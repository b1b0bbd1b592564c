// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/decision.h"

#include <cassert>
#include <cstring>

#include "lib/decide/prefix.h"

namespace synward {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(DecisionReason::count)> reason_names{
#define X(name, text) #name,
    SYNWARD_DECISION_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, static_cast<std::size_t>(DecisionReason::count)> reason_texts{
#define X(name, text) text,
    SYNWARD_DECISION_REASONS(X)
#undef X
};
constexpr std::array<std::string_view, static_cast<std::size_t>(DeciderId::count)> deciders{
    "chain", "completion", "strays", "shape", "rates"};
constexpr std::array<std::string_view, 3> opinions{"none", "accept", "drop"};
constexpr std::array<std::string_view, 9> kinds{"syn",       "stray",     "synack", "reset", "fragment",
                                                "malformed", "handshake", "shape",  "other"};
constexpr std::array<std::string_view, SW_DOUBT_COUNT> doubt_names{
#define X(NAME, name) #name,
    SW_DOUBTS(X)
#undef X
};

template <std::size_t N>
std::string_view word(const std::array<std::string_view, N>& words, std::size_t index) {
    return index < N ? words[index] : std::string_view("unknown");
}

}  // namespace

std::string_view decider_name(DeciderId id) {
    return word(deciders, static_cast<std::size_t>(id));
}
std::string_view decision_reason_name(DecisionReason reason) {
    return word(reason_names, static_cast<std::size_t>(reason));
}
std::string_view decision_reason_text(DecisionReason reason) {
    return word(reason_texts, static_cast<std::size_t>(reason));
}
std::string_view opinion_name(Opinion opinion) {
    return word(opinions, static_cast<std::size_t>(opinion));
}
std::string_view event_kind_name(EventKind kind) {
    return word(kinds, static_cast<std::size_t>(kind));
}
std::string_view doubt_name(sw_doubt doubt) {
    return word(doubt_names, static_cast<std::size_t>(doubt));
}

Action& Decision::add(Action::Kind kind, const FlowEvent& event) {
    assert(count_ < most);
    if (count_ < most) count_++;
    Action& action = actions_[count_ - 1];
    action = Action{};
    action.kind = kind;
    action.event = event.kind;
    action.service = service;
    action.family = event.family;
    action.source = event.source;
    return action;
}

void Decision::ticket_source(const FlowEvent& event, sw_doubt doubt, sw_action what,
                             std::chrono::milliseconds life) {
    Action& action = add(Action::Kind::ticket, event);
    action.ticket_action = what;
    action.lifetime_ms = static_cast<std::uint32_t>(life.count());
    std::memcpy(action.key.subject, event.source.data(), event.family == SW_IPV4 ? 4 : 16);
    action.key.doubt = static_cast<std::uint8_t>(doubt);
    action.key.family = static_cast<std::uint8_t>(event.family);
    action.key.service = service;
}

void Decision::ticket_shape(const FlowEvent& event, sw_action what, std::chrono::milliseconds life) {
    Action& action = add(Action::Kind::ticket, event);
    action.ticket_action = what;
    action.lifetime_ms = static_cast<std::uint32_t>(life.count());
    static_assert(sizeof action.key.subject == sizeof event.shape);
    std::memcpy(action.key.subject, &event.shape, sizeof event.shape);
    action.key.doubt = SW_DOUBT_SHAPE;
    action.key.family = static_cast<std::uint8_t>(event.family);
    action.key.service = service;
}

void Decision::add_to_set(const FlowEvent& event, std::uint8_t length, std::chrono::milliseconds timeout) {
    Action& action = add(Action::Kind::set, event);
    action.length = length;
    action.lifetime_ms = static_cast<std::uint32_t>(timeout.count());
    Address address = to_address(event.source, event.family);
    for (std::size_t i = length / 8; i < address.bytes.size(); i++) address.bytes[i] = 0;
    action.source = raw_address(address);
}

void Decision::sign(DeciderId who) {
    decider = who;
    for (std::size_t i = 0; i < count_; i++) {
        actions_[i].decider = who;
        actions_[i].reason = reason;
    }
}

void Decision::report(const FlowEvent& event) {
    add(Action::Kind::report, event);
}

}  // namespace synward
