// SPDX-License-Identifier: GPL-2.0-or-later
// What happened to an ipset, as the kernel tells it (lib/abi/set_event.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace synward {

enum class SetOperation : std::uint8_t { add, remove, flush, swap, rename, create, destroy };

struct SetEvent {
    SetOperation operation = SetOperation::add;
    std::string_view name;   // empty: every set
    std::string_view other;  // of a swap or rename
    std::uint32_t lost = 0;  // events that could not be told, so far
    // Of a single entry that was added or removed: attributes for read_told_entry()
    // (lib/sets/message.h). Empty: not told.
    std::span<const std::uint8_t> entry;
};

// Nothing for what is no record of ours. Pure; names and entry point into `record`.
[[nodiscard]] std::optional<SetEvent> decode_set_event(std::span<const std::uint8_t> record);

}  // namespace synward
