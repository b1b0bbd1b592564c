// SPDX-License-Identifier: GPL-2.0-or-later
// The messages of nfnetlink_queue (linux/netfilter/nfnetlink_queue.h): reading
// one packet, writing verdicts. Pure; reads hostile bytes within their bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/escalation/event.h"

namespace synward {

struct QueuedPacket {
    std::uint32_t id = 0;
    std::uint32_t mark = 0;
    std::uint32_t ifindex = 0;
    std::uint32_t length = 0;             // of the whole packet, bytes
    std::span<const std::uint8_t> bytes;  // its beginning, in the datagram
};

// One datagram of the queue's socket. The kernel puts one message into each.
struct QueueMessage {
    enum class Kind {
        packet,
        answer,   // `error` to the message with number `sequence`
        unknown,  // not understood; a packet without an id among them
    };
    Kind kind = Kind::unknown;
    QueuedPacket packet;
    int error = 0;  // errno; 0: acknowledged
    std::uint32_t sequence = 0;
};
[[nodiscard]] QueueMessage read_queue_message(std::span<const std::uint8_t> datagram);

// Fills the event, its id included, from a packet.
void fill_event(const QueuedPacket& packet, FlowEvent& event);

// The id of an event carries the packet's id and its mark, which a verdict needs
// since the kernel takes only whole marks.
[[nodiscard]] constexpr std::uint64_t queue_event_id(std::uint32_t packet_id, std::uint32_t mark) {
    return std::uint64_t{mark} << 32 | packet_id;
}

inline constexpr std::size_t queue_verdict_bytes = 40;

// Writes one message of queue_verdict_bytes. An accepted packet no longer asks
// for the daemon: its SW_MARK_ESCALATE_MASK is cleared, as the module does it.
void write_queue_verdict(std::span<std::uint8_t, queue_verdict_bytes> to, std::uint16_t queue,
                         const Verdict& verdict);

}  // namespace synward
