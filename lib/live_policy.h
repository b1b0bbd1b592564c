// SPDX-License-Identifier: GPL-2.0-or-later
// The policy in the maps: reading it back, and replacing it so that a packet
// sees the old one or the new one. The source sets are another matter: SourceMaps.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lib/filter_size.h"
#include "lib/maps.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// Keeps the maps. One writer at a time; see Instance.
class LivePolicy {
  public:
    [[nodiscard]] static Result<LivePolicy> create(std::shared_ptr<const MapSet> maps);

    [[nodiscard]] sw_config config() const;  // a copy, each field whole
    [[nodiscard]] Result<CompiledPolicy> read() const;
    [[nodiscard]] std::array<std::uint32_t, SW_FATE_COUNT> count_sources() const;
    // `now` in ticks.
    Result<void> write(const CompiledPolicy& policy, std::uint64_t now);
    Result<void> set_mode(unsigned service, sw_mode mode, std::uint64_t now);

    void store_rotation(unsigned slot, const std::array<std::uint64_t, 2>& key, std::uint32_t since,
                        std::uint32_t active);
    // Empties the older generation of the filter and makes it the one that is filled, with
    // 1 << shift bits (SW_FILTER_SHIFT_MIN to SW_FILTER_SHIFT).
    void renew_filter(unsigned shift);
    [[nodiscard]] FilterUse filter_use() const;
    void note_clsact(bool made);

    [[nodiscard]] sw_state* state(unsigned service) const { return memory_.data()->state + service; }

  private:
    LivePolicy(std::shared_ptr<const MapSet> maps, MappedArray<sw_memory> memory)
        : maps_(std::move(maps)), memory_(std::move(memory)) {}

    void write_services(const CompiledPolicy& policy, std::uint32_t generation);
    Result<void> write_addresses(const std::vector<AddressEntry>& entries, std::uint32_t generation);
    Result<void> reset_service(unsigned service);
    void prepare_states(const CompiledPolicy& policy, const CompiledPolicy& old, std::uint32_t now);
    void store_config(const sw_config& wanted, std::uint32_t generation, std::uint32_t epoch);

    std::shared_ptr<const MapSet> maps_;
    MappedArray<sw_memory> memory_;
};

// What a change of mode means for the state of a service: one that answers always, or
// was only monitored, needs its filter completed; one that does not arm is not armed. `now`
// in ticks: since then cookies are given, or the clients of given ones are waited for.
void change_mode(sw_state& state, unsigned before, unsigned after, std::uint32_t now);

}  // namespace synward
