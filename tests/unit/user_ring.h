// SPDX-License-Identifier: GPL-2.0-or-later
// A verdict ring in user space: does with lib/abi/ring_slots.h and its own memory
// what the module does, so that readers can be tested where no module is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "lib/abi/ring_frame.h"
#include "lib/abi/ring_slots.h"

namespace synward {

class UserRing {
  public:
    static constexpr std::uint32_t frames_offset = 4096;

    // `memory` has at least bytes(shift, frame_bytes), zeroed, and outlives this.
    UserRing(void* memory, unsigned shift, std::uint32_t frame_bytes, std::uint64_t first = 0)
        : memory_(static_cast<std::uint8_t*>(memory)),
          frame_bytes_(frame_bytes),
          slot_(std::size_t{1} << shift) {
        sw_slots_init(&slots_, slot_.data(), shift, 1 << 20);
        slots_.head = slots_.tail = slots_.seen = first;
        header()->abi = SW_RING_ABI;
        header()->slots = 1u << shift;
        header()->frame_bytes = frame_bytes;
        header()->frames_offset = frames_offset;
        header()->head = header()->tail = first;
    }
    static constexpr std::size_t bytes(unsigned shift, std::uint32_t frame_bytes) {
        return frames_offset + (std::size_t{frame_bytes} << shift);
    }

    // False: no slot, counted as lost.
    bool publish(std::span<const std::uint8_t> packet, std::uint32_t mark,
                 std::uint64_t deadline = ~0ULL >> 1) {
        const auto length = static_cast<std::uint32_t>(packet.size());
        if (sw_slots_full(&slots_) || sw_slots_over(&slots_, length)) {
            ++header()->lost;
            return false;
        }
        const std::uint64_t sequence = sw_slots_take(&slots_, length, deadline);
        sw_frame* to = frame(sequence);
        __atomic_store_n(&to->sequence, 0, __ATOMIC_RELEASE);
        to->time = sequence * 1000;
        to->slot = sw_slots_index(&slots_, sequence);
        to->generation = sw_slots_generation(&slots_, sequence);
        to->mark = mark;
        to->ifindex = 2;
        to->length = length;
        to->captured =
            static_cast<std::uint16_t>(std::min<std::size_t>(length, frame_bytes_ - sizeof(sw_frame)));
        to->reason = static_cast<std::uint8_t>((mark & reason_bits) >> 8);
        if (to->captured) std::memcpy(to + 1, packet.data(), to->captured);
        __atomic_store_n(&to->sequence, sequence + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&header()->head, slots_.head, __ATOMIC_RELEASE);
        return true;
    }

    // As write() does; `decide` gets the sequence number of each packet that is decided.
    using Decide = std::function<void(std::uint64_t sequence, const sw_verdict&)>;
    void apply(std::span<const sw_verdict> verdicts, const Decide& decide) {
        for (const sw_verdict& verdict : verdicts) {
            if (verdict.verdict >= SW_VERDICT_KINDS) {
                ++bad;
                continue;
            }
            const std::uint64_t sequence = sw_slots_find(&slots_, verdict.slot, verdict.generation);
            if (sequence == SW_SEQUENCE_NONE) {
                ++stale;
                continue;
            }
            sw_slots_note(&slots_, sequence);
            if (verdict.verdict == SW_VERDICT_SEEN) {
                for (std::uint64_t n; (n = sw_slots_expired(&slots_, 0, 1)) <= sequence;)
                    end(n, verdict, decide);
            } else {
                end(sequence, verdict, decide);
            }
        }
        header()->tail = slots_.tail;
    }
    // Ends what is past its deadline.
    unsigned expire(std::uint64_t now) {
        unsigned count = 0;
        for (std::uint64_t n; (n = sw_slots_expired(&slots_, now, 0)) != SW_SEQUENCE_NONE; ++count)
            sw_slots_release(&slots_, sw_slots_index(&slots_, n));
        header()->tail = slots_.tail;
        return count;
    }

    [[nodiscard]] sw_ring_header* header() { return reinterpret_cast<sw_ring_header*>(memory_); }
    [[nodiscard]] sw_frame* frame(std::uint64_t sequence) {
        return reinterpret_cast<sw_frame*>(memory_ + frames_offset +
                                           sw_slots_index(&slots_, sequence) * std::size_t{frame_bytes_});
    }
    [[nodiscard]] const sw_slots& slots() const { return slots_; }

    unsigned stale = 0;  // verdicts that named no held packet
    unsigned bad = 0;    // verdicts of no kind

  private:
    static constexpr std::uint32_t reason_bits = 0x7f00;

    void end(std::uint64_t sequence, const sw_verdict& verdict, const Decide& decide) {
        sw_slots_release(&slots_, sw_slots_index(&slots_, sequence));
        decide(sequence, verdict);
    }

    std::uint8_t* memory_;
    std::uint32_t frame_bytes_;
    std::vector<sw_slot> slot_;
    sw_slots slots_{};
};

}  // namespace synward
