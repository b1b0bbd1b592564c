// SPDX-License-Identifier: GPL-2.0-or-later
// What comes out of the chain for one event.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "lib/decide/config.h"
#include "lib/escalation/event.h"

namespace synward {

// Numbers are stored in struct sw_ticket.decider: never renumbered.
enum class DeciderId : std::uint8_t { chain, completion, strays, shape, rates, count };
[[nodiscard]] std::string_view decider_name(DeciderId id);

// X(name, "what was found")
#define SYNWARD_DECISION_REASONS(X)                                                        \
    X(service_default, "no decider had an opinion: the service's default")                 \
    X(proven, "the source completed a handshake lately")                                   \
    X(proven_over_rate, "the source is proven, but sends more of this than it may")        \
    X(neighbour, "others of the source's net completed handshakes lately")                 \
    X(known_flow, "the kernel has this connection")                                        \
    X(unknown_flow, "neither conntrack nor a socket has this connection")                  \
    X(shape_normal, "the service often sees SYNs of this shape")                           \
    X(shape_rare, "SYN of an unknown shape, of which few come")                            \
    X(shape_flood, "SYNs of this unknown shape come too fast")                             \
    X(shape_variety, "SYNs of too many unknown shapes come")                               \
    X(host_rate, "the source sends too much of this")                                      \
    X(net_rate, "the source's net sends too much of this")                                 \
    X(fragment_policy, "fragment, within the limits")                                      \
    X(malformed_policy, "malformed, within the limits")                                    \
    X(connection_flood, "the source completes too many handshakes: put into the deny set") \
    X(noted, "remembered")

enum class DecisionReason : std::uint8_t {
#define X(name, text) name,
    SYNWARD_DECISION_REASONS(X)
#undef X
        count
};
[[nodiscard]] std::string_view decision_reason_name(DecisionReason reason);
[[nodiscard]] std::string_view decision_reason_text(DecisionReason reason);

[[nodiscard]] std::string_view opinion_name(Opinion opinion);    // none, accept, drop
[[nodiscard]] std::string_view event_kind_name(EventKind kind);  // syn, stray, …
[[nodiscard]] std::string_view doubt_name(sw_doubt doubt);       // as in SW_DOUBTS

// Complete in itself: it may be queued for another thread when its decision is gone.
struct Action {
    enum class Kind : std::uint8_t {
        ticket,  // write `key` with `ticket_action` and `decider` into sw_tickets
        set,     // add `source`/`length` to DecideConfig::deny_set[family]
        report,  // tell log and monitors
    };
    Kind kind = Kind::report;
    EventKind event = EventKind::other;  // that led to it
    DeciderId decider = DeciderId::chain;
    DecisionReason reason = DecisionReason::service_default;
    sw_family family = SW_IPV4;
    std::uint8_t service = 0;  // index
    std::uint8_t length = 0;   // of the prefix, bits (set)
    sw_action ticket_action = SW_ACTION_PASS;
    std::uint32_t lifetime_ms = 0;  // ticket, set
    sw_ticket_key key{};            // ticket
    RawAddress source{};            // bits behind `length` zero in a set
};

// What the kernel is known to have of a stray, SYN-ACK or RST.
enum class KnownFlow : std::uint8_t {
    none,    // nothing, as far as anybody has read
    source,  // some connection of its source (/32, /64)
    flow,    // its own connection
};

// Plain data of fixed size; filled anew by each call of Chain::decide().
class Decision {
  public:
    Verdict verdict;                 // what to send, unless verdict.id is 0
    Opinion wanted = Opinion::none;  // of the decider, dry run or not; none: the service's default
    DeciderId decider = DeciderId::chain;
    DecisionReason reason = DecisionReason::service_default;
    std::uint8_t service = 0;  // index
    KnownFlow known = KnownFlow::none;
    bool dry_run = false;

    // What to do; nothing in a dry run. Part of the decision: not for a temporary one.
    [[nodiscard]] std::span<const Action> actions() const& {
        return {actions_.data(), dry_run ? 0u : count_};
    }
    // What to do, or would have been done.
    [[nodiscard]] std::span<const Action> wanted_actions() const& { return {actions_.data(), count_}; }

    void actions() const&& = delete;
    void wanted_actions() const&& = delete;

    // For deciders. `event` gives source and family.
    void ticket_source(const FlowEvent& event, sw_doubt doubt, sw_action action,
                       std::chrono::milliseconds life);
    void ticket_shape(const FlowEvent& event, sw_action action, std::chrono::milliseconds life);
    void add_to_set(const FlowEvent& event, std::uint8_t length, std::chrono::milliseconds timeout);
    void report(const FlowEvent& event);
    Opinion conclude(Opinion opinion, DecisionReason why) {
        reason = why;
        return opinion;
    }
    // For the chain: the decision is `who`'s.
    void sign(DeciderId who);
    void reset() { count_ = 0; }

  private:
    static constexpr std::size_t most = 4;  // a decider adds two at most
    Action& add(Action::Kind kind, const FlowEvent& event);

    std::array<Action, most> actions_;
    std::uint32_t count_ = 0;
};

}  // namespace synward
