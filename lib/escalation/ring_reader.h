// SPDX-License-Identifier: GPL-2.0-or-later
// One frame of the verdict ring (lib/abi/ring.h) as an event.
#pragma once

#include <cstdint>

#include "lib/abi/ring_frame.h"
#include "lib/escalation/event.h"

namespace synward {

// The event's id in a ring: which slot, and which use of it. Never 0, since no generation is.
[[nodiscard]] constexpr std::uint64_t ring_event_id(std::uint32_t slot, std::uint32_t generation) {
    return std::uint64_t{generation} << 32 | slot;
}

// The verdict as the ring takes it.
[[nodiscard]] constexpr sw_verdict ring_verdict(const Verdict& verdict) {
    return {.slot = static_cast<__u32>(verdict.id),
            .generation = static_cast<__u32>(verdict.id >> 32),
            .verdict = static_cast<__u32>(verdict.kind),
            .mark = verdict.mark,
            .mask = verdict.mask};
}

// Fills the event, its id included, from the frame with that sequence number.
// False if the frame does not hold it, or was taken away while it was read: the
// event means nothing then. Believes nothing in the memory; `view` is checked.
bool read_frame(const sw_ring_view& view, std::uint64_t sequence, FlowEvent& event);

}  // namespace synward
