// SPDX-License-Identifier: GPL-2.0-or-later
// Which service a packet is for, and what that does with what nobody decides.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/decide/hash.h"
#include "lib/escalation/event.h"
#include "lib/policy.h"

namespace synward {

// One thread writes (load), any reads; no lock. In two generations, like the
// maps of the BPF programs: a reader sees one policy or the other, unless two are
// loaded while it looks one packet up, which costs a ticket of the wrong service.
class ServiceTable {
  public:
    explicit ServiceTable(KeySource& keys);

    // Ports, addresses and `escalate_default` of each service. Code `config` for
    // more than SW_ADDRESSES addresses: then nothing is changed.
    Result<void> load(const CompiledPolicy& policy);

    // Index; 0 for none, and for a packet without ports.
    [[nodiscard]] std::uint8_t find(const FlowEvent& event) const;
    [[nodiscard]] sw_verdict_kind fallback(std::uint8_t service) const {
        return current().drop[service].load(std::memory_order_relaxed) ? SW_VERDICT_DROP : SW_VERDICT_ACCEPT;
    }
    [[nodiscard]] std::size_t memory_bytes() const { return 2 * sizeof(Generation); }

  private:
    static constexpr std::size_t slots = 8192;  // at most half of them filled
    struct Generation {
        std::array<std::atomic<std::uint16_t>, SW_PORTS> ports;   // as struct sw_ports
        std::array<std::atomic<std::uint64_t>, slots> addresses;  // hash bits, 1, service; 0: empty
        std::array<std::atomic<bool>, SW_SERVICES> drop;
    };
    [[nodiscard]] const Generation& current() const {
        return generations_[generation_.load(std::memory_order_acquire)];
    }
    [[nodiscard]] std::array<std::uint32_t, 6> words(const RawAddress& address, sw_family family,
                                                     std::uint16_t port) const;

    HashKey index_;
    HashKey tag_;
    std::atomic<unsigned> generation_{0};
    std::unique_ptr<Generation[]> generations_;
};

}  // namespace synward
