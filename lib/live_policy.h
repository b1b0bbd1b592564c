// SPDX-License-Identifier: GPL-2.0-or-later
// The policy in the maps: reading it back, and replacing it so that a packet
// sees the old one or the new one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lib/maps.h"
#include "lib/policy.h"
#include "lib/result.h"
#include "lib/source_table.h"

namespace synward {

// The source sets (sw_exact4/6, sw_prefix4/6), the table that answers for the exact
// ones (sw_exact) and their gate. They exist once, not per generation: stage() adds
// what is new behind a gate that lets old and new through, finish() takes away what
// is gone. The table never holds what the maps do not, also when we die in between;
// what it lacks then, the next write adds.
class SourceMaps {
  public:
    // `gate` and `table` are those of the program, in memory that it shares with us.
    SourceMaps(std::shared_ptr<const MapSet> maps, sw_gate& gate, MappedArray<sw_source_set> table)
        : maps_(std::move(maps)), gate_(&gate), table_(std::move(table)) {}
    // sw_config.source_shift.
    [[nodiscard]] unsigned shift() const;
    // Empties the table, before the first policy: what is in it was never in force.
    void reset_table();
    [[nodiscard]] Result<std::vector<SourceEntry>> read() const;
    Result<void> stage(const std::vector<SourceEntry>& old, const std::vector<SourceEntry>& wanted,
                       const __u64 (&hash_key)[8]);
    Result<void> finish(const std::vector<SourceEntry>& old, const std::vector<SourceEntry>& wanted,
                        const __u64 (&hash_key)[8]);

  private:
    void write_gate(const sw_gate& gate);
    [[nodiscard]] SourceTable table(const __u64 (&hash_key)[8]) const;
    std::shared_ptr<const MapSet> maps_;
    sw_gate* gate_;
    MappedArray<sw_source_set> table_;
};

// Keeps the maps. One writer at a time; see Instance.
class LivePolicy {
  public:
    [[nodiscard]] static Result<LivePolicy> create(std::shared_ptr<const MapSet> maps);

    [[nodiscard]] sw_config config() const;  // a copy, each field whole
    [[nodiscard]] Result<CompiledPolicy> read() const;
    // `epoch` is the present one, for the keys of the first policy.
    Result<void> write(const CompiledPolicy& policy, std::uint32_t epoch);
    Result<void> set_mode(unsigned service, sw_mode mode);

    void store_rotation(unsigned slot, const std::array<std::uint64_t, 2>& key, std::uint32_t since,
                        std::uint32_t current);
    // Empties the older generation of the filter and makes it the one that is filled.
    void renew_filter();
    void note_clsact(bool made);

    [[nodiscard]] sw_state* state(unsigned service) const { return memory_.data()->state + service; }

  private:
    LivePolicy(std::shared_ptr<const MapSet> maps, MappedArray<sw_memory> memory,
               MappedArray<sw_source_set> exact)
        : maps_(maps),
          memory_(std::move(memory)),
          sources_(std::move(maps), memory_.data()->gate, std::move(exact)) {}

    void write_services(const CompiledPolicy& policy, std::uint32_t generation);
    Result<void> write_addresses(const std::vector<AddressEntry>& entries, std::uint32_t generation);
    Result<void> reset_service(unsigned service);
    void prepare_states(const CompiledPolicy& policy, const CompiledPolicy& old);
    void store_config(const sw_config& wanted, std::uint32_t generation, std::uint32_t epoch);

    std::shared_ptr<const MapSet> maps_;
    MappedArray<sw_memory> memory_;
    SourceMaps sources_;
};

// What a change of mode means for the state of a service: one that answers
// always needs its filter completed, one that does not arm is not armed.
void change_mode(sw_state& state, unsigned before, unsigned after);

}  // namespace synward
