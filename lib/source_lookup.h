// SPDX-License-Identifier: GPL-2.0-or-later
// What the source sets in force say of one address, for readers.
#pragma once

#include <optional>
#include <span>

#include "lib/maps.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// As the program looks for it. The entry's prefix is the one that decides. Any process.
[[nodiscard]] Result<std::optional<SourceEntry>> find_source(const MapSet& maps, const Address& address);

// Key of a prefix in sw_prefix4 or sw_prefix6, in one generation; `bytes` holds either.
struct SourceKey {
    alignas(8) unsigned char bytes[sizeof(sw_prefix6)] = {};
    SourceKey() = default;
    SourceKey(const Prefix& prefix, std::uint32_t generation);
};

// Capacity of the sets: what the program was loaded with.
[[nodiscard]] std::uint32_t source_capacity(const MapSet& maps);
// Code `config` if the entries exceed it.
Result<void> check_capacity(const MapSet& maps, std::span<const SourceEntry> entries);

}  // namespace synward
