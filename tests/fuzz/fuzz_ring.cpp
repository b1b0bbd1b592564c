// SPDX-License-Identifier: GPL-2.0-or-later
// The ring's reader over any memory: header and frames hold whatever they like.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "lib/escalation/ring_reader.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    if (size > 1 << 20) return 0;
    // Of exactly that size, and aligned as a map is.
    const std::unique_ptr<std::uint8_t, decltype(&std::free)> map(
        static_cast<std::uint8_t*>(std::malloc(size ? size : 1)), &std::free);
    if (size) std::memcpy(map.get(), data, size);

    sw_ring_view view;
    if (sw_ring_check(&view, map.get(), size)) return 0;
    require(view.frames_offset + std::uint64_t{view.slots} * view.frame_bytes <= size);
    const std::uint64_t head = sw_ring_head(&view);
    for (std::uint64_t sequence = head - view.slots - 1; sequence != head + 1; ++sequence) {
        FlowEvent event;
        if (!read_frame(view, sequence, event)) continue;
        require(event.reason < SW_REASON_COUNT);
        require(event.kind == event_kind(event.reason));
        require(event.family < SW_FAMILIES);
        const sw_verdict verdict = ring_verdict({.id = event.id});
        require(ring_event_id(verdict.slot, verdict.generation) == event.id);
    }
    return 0;
}
