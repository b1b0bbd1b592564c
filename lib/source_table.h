// SPDX-License-Identifier: GPL-2.0-or-later
// One generation of the exact source sets (struct sw_source_set) and of the gates,
// as the program looks at them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/policy.h"

namespace synward {

// A view of memory that packets read meanwhile: every change is one atomic store
// of a word, and an entry never changes its place, but for insert(). One writer at a time.
class SourceTable {
  public:
    // `sets` (1 << shift of them) and the keys must outlive this.
    SourceTable(sw_source_set* sets, unsigned shift, const __u64 (&hash_key)[8])
        : sets_(sets), shift_(shift), hash_key_(hash_key) {}

    // The source has this fate from now on, at this port (0: at every other). False: both
    // of its sets are full.
    [[nodiscard]] bool put(const Address& source, sw_fate fate, std::uint32_t port = 0);
    // Likewise, of one that is known not to be there, in a table that no packet looks into
    // yet: where both sets are full, another entry moves to its other set.
    [[nodiscard]] bool insert(const Address& source, sw_fate fate, std::uint32_t port = 0);
    // Does nothing when the table does not hold it.
    void remove(const Address& source, std::uint32_t port = 0);
    [[nodiscard]] sw_fate find(const Address& source, std::uint32_t port = 0) const;

  private:
    struct Place {
        std::size_t set, other;
        unsigned way;  // the one tried first
        __u64 tag;
    };
    [[nodiscard]] Place place(const Address& source, std::uint32_t port) const;
    [[nodiscard]] __u64* entry_of(const Place& at) const;
    [[nodiscard]] bool insert_at(const Place& at, sw_fate fate);
    [[nodiscard]] bool make_room(std::size_t set);

    sw_source_set* sets_;
    unsigned shift_;
    const __u64 (&hash_key_)[8];
};

// The gates of one generation: what bits its entries need. Bits are only ever set
// while packets look; see SourceMaps for how they go away.
class SourceGate {
  public:
    // `exact` has 1 << shift bits; `prefix` is struct sw_gate's of the generation.
    SourceGate(__u64* exact, unsigned shift, __u64 (&prefix)[SW_FAMILIES][SW_GATE_WORDS],
               const __u64 (&hash_key)[8])
        : exact_(exact), shift_(shift), prefix_(prefix), hash_key_(hash_key) {}

    void open(const Prefix& prefix);

    // At least 16 bits for each of so many single addresses; `most` is what there are.
    [[nodiscard]] static unsigned shift_for(std::size_t hosts, unsigned most);

  private:
    __u64* exact_;
    unsigned shift_;
    __u64 (&prefix_)[SW_FAMILIES][SW_GATE_WORDS];
    const __u64 (&hash_key_)[8];
};

// SW_SET_*: which sets an entry is in.
[[nodiscard]] std::uint32_t source_set(const Prefix& prefix, std::uint32_t port = 0);

}  // namespace synward
