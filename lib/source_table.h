// SPDX-License-Identifier: GPL-2.0-or-later
// The exact source sets as the program looks for them first (struct
// sw_source_set). The hash maps sw_exact4 and sw_exact6 hold the same entries:
// they are what is read back, and where the program finds what has no room here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/policy.h"

namespace synward {

// A view of memory that packets read meanwhile: every change is one atomic store
// of a word, and an entry never changes its way. One writer at a time.
class SourceTable {
  public:
    // `sets` (1 << shift of them) and the keys must outlive this.
    SourceTable(sw_source_set* sets, unsigned shift, const __u64 (&hash_key)[8])
        : sets_(sets), shift_(shift), hash_key_(hash_key) {}

    // The source has this fate from now on; its hash map must know it already. False:
    // the set has no room for it, and says so.
    bool put(const Address& source, sw_fate fate);
    // Does nothing when the table does not hold it.
    void remove(const Address& source);

    // Puts the single addresses among the entries.
    void fill(const std::vector<SourceEntry>& entries);
    // Likewise, where these are all that the hash maps hold: what overflowed finds the
    // room that others left, and sets that need no hash map any more cease to say so.
    void settle(const std::vector<SourceEntry>& entries);

  private:
    struct Place {
        std::size_t set;
        unsigned way;  // the one tried first
        __u64 tag;
    };
    [[nodiscard]] Place place(const Address& source) const;

    sw_source_set* sets_;
    unsigned shift_;
    const __u64 (&hash_key_)[8];
};

}  // namespace synward
