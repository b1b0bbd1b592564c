// SPDX-License-Identifier: GPL-2.0-or-later
// Verdicts by prefix: the longest prefix that contains an address decides, as in a set.
#pragma once

#include <array>
#include <cstddef>
#include <map>

#include "lib/import/block.h"

namespace synward {

class PrefixTable {
  public:
    using Entries = std::map<Block, bool>;  // true: drop

    // What is there stays.
    void add(const Block& block, bool drop) {
        if (entries_.emplace(block, drop).second) lengths_[block.length]++;
    }
    void remove(const Block& block) {
        if (entries_.erase(block)) lengths_[block.length]--;
    }
    [[nodiscard]] const Entries& entries() const { return entries_; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }

    // Is the whole block inside one that is here?
    [[nodiscard]] bool covers(const Block& block) const {
        for (unsigned length = 0; length <= block.length; length++)
            if (lengths_[length] && entries_.contains(block.widened(length))) return true;
        return false;
    }
    // Has any address of the block an entry?
    [[nodiscard]] bool meets(const Block& block) const {
        if (covers(block)) return true;
        const auto next = entries_.lower_bound(block);
        return next != entries_.end() && block.contains(next->first);
    }
    // Null: no entry. Of several that contain the block, the longest.
    [[nodiscard]] const bool* find(const Block& block) const {
        for (unsigned length = block.length + 1; length-- > 0;) {
            if (!lengths_[length]) continue;
            const auto found = entries_.find(block.widened(length));
            if (found != entries_.end()) return &found->second;
        }
        return nullptr;
    }

  private:
    Entries entries_;
    std::array<std::size_t, 129> lengths_{};
};

}  // namespace synward
