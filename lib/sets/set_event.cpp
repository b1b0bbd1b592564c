// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/set_event.h"

#include <cstddef>
#include <cstring>

#include "lib/abi/set_event.h"

namespace synward {

static_assert(static_cast<int>(SetOperation::add) == SW_SET_ADD);
static_assert(static_cast<int>(SetOperation::remove) == SW_SET_REMOVE);
static_assert(static_cast<int>(SetOperation::flush) == SW_SET_FLUSH);
static_assert(static_cast<int>(SetOperation::swap) == SW_SET_SWAP);
static_assert(static_cast<int>(SetOperation::rename) == SW_SET_RENAME);
static_assert(static_cast<int>(SetOperation::create) == SW_SET_CREATE);
static_assert(static_cast<int>(SetOperation::destroy) == SW_SET_DESTROY);

std::optional<SetEvent> decode_set_event(std::span<const std::uint8_t> record) {
    if (record.size() < sizeof(sw_set_event)) return {};
    sw_set_event raw{};
    std::memcpy(&raw, record.data(), sizeof raw);
    if (raw.operation >= SW_SET_OPERATION_COUNT || raw.entry_length > SW_SET_ENTRY_LENGTH) return {};
    const auto text = [&](std::size_t offset) {
        const auto* from = reinterpret_cast<const char*>(record.data()) + offset;
        return std::string_view(from, strnlen(from, SW_SET_NAME_LENGTH));
    };
    return SetEvent{static_cast<SetOperation>(raw.operation), text(offsetof(sw_set_event, name)),
                    text(offsetof(sw_set_event, other)), raw.lost,
                    record.subspan(offsetof(sw_set_event, entry), raw.entry_length)};
}

}  // namespace synward
