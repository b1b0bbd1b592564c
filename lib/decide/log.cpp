// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/log.h"

#include "lib/decide/prefix.h"

namespace synward {
namespace {

enum Flag : std::uint64_t {
    dropped = 1,
    dry_run = 2,
    set = 4,
    ticket = 8,
    ticket_shape = 16,
    ticket_drop = 32,
    ipv6 = 64
};

// word 3: ports, kind, service, decider, reason; word 4: opinion, flags; word 5: lifetime
template <typename T>
std::uint64_t at(T value, unsigned shift) {
    return static_cast<std::uint64_t>(value) << shift;
}
template <typename T>
T byte(std::uint64_t word, unsigned shift) {
    return static_cast<T>(word >> shift & 0xff);
}

}  // namespace

void DecisionLog::append(const FlowEvent& event, std::uint64_t now, const Decision& d) {
    std::uint64_t flags = 0;
    std::uint64_t lifetime = 0;
    for (const Action& action : d.wanted_actions()) {
        if (action.kind == Action::Kind::report) continue;
        lifetime = action.lifetime_ms;
        if (action.kind == Action::Kind::set) {
            flags |= Flag::set;
            continue;
        }
        flags |= Flag::ticket;
        if (action.key.doubt == SW_DOUBT_SHAPE) flags |= Flag::ticket_shape;
        if (action.ticket_action == SW_ACTION_DROP) flags |= Flag::ticket_drop;
    }
    if (d.verdict.kind == SW_VERDICT_DROP) flags |= Flag::dropped;
    if (d.dry_run) flags |= Flag::dry_run;
    if (event.family == SW_IPV6) flags |= Flag::ipv6;
    const Words values{now,
                       at(event.source[0], 0) | at(event.source[1], 32),
                       at(event.source[2], 0) | at(event.source[3], 32),
                       at(event.source_port, 0) | at(event.destination_port, 16) | at(event.kind, 32) |
                           at(d.service, 40) | at(d.decider, 48) | at(d.reason, 56),
                       at(d.wanted, 0) | at(flags, 8),
                       lifetime};

    Slot& slot = slots_[next_];
    next_ = next_ + 1 == count_ ? 0 : next_ + 1;
    const std::uint64_t sequence = slot.sequence.load(std::memory_order_relaxed);
    slot.sequence.store(sequence + 1, std::memory_order_relaxed);
    // Each release store keeps the odd sequence before it; whoever reads the new
    // word with acquire then sees that sequence or a later one. No fence: thread
    // sanitizers do not know them.
    for (std::size_t i = 0; i < words; i++) slot.word[i].store(values[i], std::memory_order_release);
    slot.sequence.store(sequence + 2, std::memory_order_release);
    newest_.store(next_, std::memory_order_relaxed);
}

bool DecisionLog::read(const Slot& slot, Words& out) {
    const std::uint64_t before = slot.sequence.load(std::memory_order_acquire);
    if (!before || before & 1) return false;
    for (std::size_t i = 0; i < words; i++) out[i] = slot.word[i].load(std::memory_order_acquire);
    return slot.sequence.load(std::memory_order_relaxed) == before;
}

std::vector<LogRecord> DecisionLog::find(const RawAddress& source, sw_family family, std::size_t most) const {
    const std::uint64_t host = prefix_id(source, family, Scope::host);
    std::vector<LogRecord> found;
    const std::size_t newest = newest_.load(std::memory_order_relaxed);
    for (std::size_t back = 1; back <= count_ && found.size() < most; back++) {
        Words w;
        if (!read(slots_[(newest + count_ - back) % count_], w)) continue;
        const std::uint64_t flags = w[4] >> 8;
        LogRecord r;
        r.family = flags & Flag::ipv6 ? SW_IPV6 : SW_IPV4;
        r.source = {static_cast<std::uint32_t>(w[1]), static_cast<std::uint32_t>(w[1] >> 32),
                    static_cast<std::uint32_t>(w[2]), static_cast<std::uint32_t>(w[2] >> 32)};
        if (r.family != family || prefix_id(r.source, family, Scope::host) != host) continue;
        r.time = w[0];
        r.source_port = static_cast<std::uint16_t>(w[3]);
        r.destination_port = static_cast<std::uint16_t>(w[3] >> 16);
        r.kind = byte<EventKind>(w[3], 32);
        r.service = byte<std::uint8_t>(w[3], 40);
        r.decider = byte<DeciderId>(w[3], 48);
        r.reason = byte<DecisionReason>(w[3], 56);
        r.wanted = byte<Opinion>(w[4], 0);
        r.dropped = flags & Flag::dropped;
        r.dry_run = flags & Flag::dry_run;
        r.set = flags & Flag::set;
        r.ticket = flags & Flag::ticket;
        r.ticket_shape = flags & Flag::ticket_shape;
        r.ticket_drop = flags & Flag::ticket_drop;
        r.lifetime_ms = static_cast<std::uint32_t>(w[5]);
        found.push_back(r);
    }
    return found;
}

}  // namespace synward
