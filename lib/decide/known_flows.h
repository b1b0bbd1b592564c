// SPDX-License-Identifier: GPL-2.0-or-later
// The connections that the kernel has, as a filter that is never wrong about one
// that is in it and seldom about one that is not.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/abi/policy.h"
#include "lib/decide/hash.h"
#include "lib/escalation/event.h"

namespace synward {

// As in a packet that arrives: source is the peer. Ports in host byte order.
struct FlowTuple {
    RawAddress source{};
    RawAddress destination{};
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    sw_family family = SW_IPV4;
};

// A blocked Bloom filter (Putze, Sanders, Singler, 2007): one 64-bit word, three
// bits of it, for each tuple and for each source alone; two generations, so that
// a connection that ended is forgotten after two renewals.
//
// One thread writes (begin, add, finish); any reads. To renew: begin(), add()
// whatever the kernel lists, finish(). In between, and from then on, add() what
// it reports.
class KnownFlows {
  public:
    // 64 bits of each generation for each of `flows`: a connection sets twelve at
    // most (two directions, each with its source), so that even a full filter
    // takes one tuple of 200 for known, and one source of 200.
    KnownFlows(std::size_t flows, KeySource& keys);

    void begin();
    void add(const FlowTuple& flow);
    void finish(std::uint64_t now);  // ns

    [[nodiscard]] bool contains(const FlowTuple& flow) const;
    // Some connection of this host (/32, /64).
    [[nodiscard]] bool contains_source(const RawAddress& source, sw_family family) const;
    // Whether what is not in it was unknown to the kernel at most `age` ns ago.
    [[nodiscard]] bool trusted(std::uint64_t now, std::uint64_t age) const;
    [[nodiscard]] std::uint64_t finished() const { return finished_.load(std::memory_order_acquire); }
    [[nodiscard]] std::size_t memory_bytes() const { return words_ * sizeof(Word); }

  private:
    struct alignas(16) Word {
        std::array<std::atomic<std::uint64_t>, 2> generation;
    };
    struct Place {
        std::size_t word;
        std::uint64_t bits;
    };
    [[nodiscard]] Place place(const FlowTuple& flow) const;
    [[nodiscard]] Place place_source(const RawAddress& source, sw_family family) const;
    [[nodiscard]] static Place place_hashes(std::uint32_t index, std::uint32_t bits, std::size_t words);
    void set(const Place& place);
    [[nodiscard]] bool test(const Place& place) const;

    std::size_t words_;
    HashKey index_;
    HashKey bits_;
    std::unique_ptr<Word[]> filter_;
    // The writer's own.
    unsigned current_ = 0;
    bool renewing_ = false;
    std::size_t added_ = 0;  // to the current generation since it was empty

    std::atomic<std::uint64_t> finished_{0};  // 0: never
};

}  // namespace synward
