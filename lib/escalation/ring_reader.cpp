// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/ring_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/escalation/packet_reader.h"

namespace synward {
namespace {

// Of the packet's bytes: room for an IP header and a TCP header, both with all their options.
constexpr std::size_t most_bytes = 256;
constexpr std::size_t least_room = SW_FRAME_BYTES_MIN - sizeof(sw_frame);

}  // namespace

bool read_frame(const sw_ring_view& view, std::uint64_t sequence, FlowEvent& event) {
    const sw_frame* shared = sw_ring_frame(&view, sequence);
    if (!sw_ring_whole(shared, sequence)) return false;
    // By copy, since the kernel may write on while we look: what is checked must be what is used.
    sw_frame frame;
    std::memcpy(&frame, shared, sizeof frame);
    std::array<std::uint8_t, most_bytes> bytes;
    const auto* packet = reinterpret_cast<const std::uint8_t*>(shared + 1);
    const std::size_t captured = std::min<std::size_t>(sw_ring_captured(&view, &frame), bytes.size());
    // Every frame has room for so many; most packets have no more, and a fixed size needs no call.
    std::memcpy(bytes.data(), packet, least_room);
    if (captured > least_room) std::memcpy(&bytes[least_room], packet + least_room, captured - least_room);
    if (!sw_ring_whole(shared, sequence)) return false;

    if (!packet_reader::read({bytes.data(), captured}, event)) event = {};
    event.id = ring_event_id(frame.slot, frame.generation);
    event.time = frame.time;
    event.mark = frame.mark;
    event.ifindex = frame.ifindex;
    event.length = frame.length;
    set_reason(event, frame.reason);
    return true;
}

}  // namespace synward
