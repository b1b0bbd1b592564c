// SPDX-License-Identifier: GPL-2.0-or-later
// The source sets in the maps of one interface: who is denied and who is allowed at
// the driver hook.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/maps.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// The only writer of these maps; it may be on another thread than its Instance,
// which it may outlive. What another process wrote is not read back: the first
// write is always a replace(). Move-only.
class SourceMaps {
  public:
    // Of an instance; see Instance::sources().
    static Result<SourceMaps> open(std::shared_ptr<const MapSet> maps);
    SourceMaps(SourceMaps&&) noexcept;
    SourceMaps& operator=(SourceMaps&&) noexcept;
    ~SourceMaps();

    // Entries that fit: single addresses and prefixes, each kind of both families.
    [[nodiscard]] std::size_t capacity() const;
    // What was written last, sorted by place; empty before the first write.
    [[nodiscard]] std::span<const SourceEntry> entries() const;
    // Whether packets go by entries(): false before the first write, and when another
    // process wrote since. Cheap.
    [[nodiscard]] bool in_force() const;
    // Whether there are entries that another process wrote, which the next write replaces.
    [[nodiscard]] bool holds_others() const;

    // All at once: writes the generation that is not in use, then one store. A packet
    // sees the old entries or the new ones. `wanted` is sorted by place, each once.
    // Code `config` if they do not fit; the old ones stay then.
    Result<void> replace(std::vector<SourceEntry> wanted);
    // One by one, in place: cheap for a few changes of many. Each source goes from its old
    // fate to its new one in one step; sources in both are never without theirs.
    Result<void> update(std::vector<SourceEntry> wanted);
    // Likewise of what lies in `within`: the other entries stay, and are not even looked at unless
    // some are by port.
    Result<void> update(const Prefix& within, std::vector<SourceEntry> wanted);

  private:
    struct Impl;
    explicit SourceMaps(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward
