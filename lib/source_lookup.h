// SPDX-License-Identifier: GPL-2.0-or-later
// What the source sets in force say of one address, for readers.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "lib/maps.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// As the program looks for it. The entry's prefix is the one that decides. Any process.
class SourceLookup {
  public:
    static Result<SourceLookup> open(const MapSet& maps);  // which must outlive this
    // At a port that no entry for one port names.
    [[nodiscard]] Result<std::optional<SourceEntry>> find(const Address& address) const;
    // By entries for this port alone; nothing: find() decides.
    [[nodiscard]] Result<std::optional<SourceEntry>> find_port(const Address& address,
                                                               std::uint16_t port) const;

  private:
    SourceLookup(const MapSet& maps, MappedArray<sw_memory> memory, MappedArray<sw_source_set> exact)
        : maps_(&maps), memory_(std::move(memory)), exact_(std::move(exact)) {}
    [[nodiscard]] Result<std::optional<SourceEntry>> look(const Address& address, std::uint32_t port,
                                                          std::uint32_t sources) const;

    const MapSet* maps_;
    MappedArray<sw_memory> memory_;
    MappedArray<sw_source_set> exact_;
};

// Key of an entry in sw_prefix4 or sw_prefix6, in one generation; `bytes` holds either.
struct SourceKey {
    alignas(8) unsigned char bytes[sizeof(sw_prefix6)] = {};
    SourceKey() = default;
    SourceKey(const Prefix& prefix, std::uint32_t port, std::uint32_t generation);
};

// Single addresses that the sets have room for, and prefixes of each family: what the
// program was loaded with.
[[nodiscard]] std::uint32_t source_capacity(const MapSet& maps);
[[nodiscard]] std::uint32_t prefix_capacity(const MapSet& maps);
// Code `config` if the entries exceed it.
Result<void> check_capacity(const MapSet& maps, std::span<const SourceEntry> entries);

}  // namespace synward
