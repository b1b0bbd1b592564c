// SPDX-License-Identifier: GPL-2.0-or-later
// The table of known connections of one interface (sw_flows), to take out of it what the
// kernel says has ended.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/decide/known_flows.h"
#include "lib/instance.h"
#include "lib/maps.h"
#include "lib/result.h"

namespace synward {

// Holds the map open, and so outlives the instance; one that was unloaded is written in
// vain, and no harm is done. Move-only; any thread, one at a time.
class FlowTable {
  public:
    // After the first policy was applied, which makes the hash's keys.
    static Result<FlowTable> open(const Instance& instance);

    // Each entry by one compare-and-swap, while packets pass. A connection that lives on
    // is found in the kernel again by its next packet. Returns how many were there.
    std::size_t forget(std::span<const FlowTuple> ended);
    // To find out which connections are gone without having been told: doubt() remembers the
    // entries that are there (four bytes each), confirm() those whose connections exist, and
    // settle() takes out the others, or none if not `all` that exist were confirmed. Returns how
    // many. Entries that come meanwhile stay.
    void doubt();
    void confirm(std::span<const FlowTuple> existing);
    std::size_t settle(bool all);
    // Whether it is the table of this instance, with the keys in force.
    [[nodiscard]] bool is_of(const Instance& instance) const;

  private:
    FlowTable(MappedArray<sw_flow_set> sets, std::size_t count, std::uint32_t program,
              const sw_config& config)
        : sets_(std::move(sets)), count_(count), program_(program), config_(config) {}

    struct Place {
        std::size_t set;
        std::uint32_t tag;
    };
    [[nodiscard]] Place place(const FlowTuple& flow) const;  // `set` may be none of ours

    MappedArray<sw_flow_set> sets_;
    std::size_t count_;
    std::uint32_t program_;
    sw_config config_;
    std::vector<std::uint32_t> doubted_;  // tags, in the table's order; 0: in no doubt
};

}  // namespace synward
