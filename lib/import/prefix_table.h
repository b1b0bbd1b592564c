// SPDX-License-Identifier: GPL-2.0-or-later
// Values by prefix: the longest prefix that contains an address decides, as in a set.
#pragma once

#include <array>
#include <cstddef>
#include <map>

#include "lib/import/block.h"

namespace synward {

template <typename Value>
class PrefixTable {
  public:
    using Entries = std::map<Block, Value>;

    // What is there stays.
    void add(const Block& block, const Value& value) {
        if (entries_.emplace(block, value).second) lengths_[block.length]++;
    }
    void remove(const Block& block) {
        if (entries_.erase(block)) lengths_[block.length]--;
    }
    [[nodiscard]] const Entries& entries() const { return entries_; }
    [[nodiscard]] bool empty() const { return entries_.empty(); }

    // Null: there is none of this very prefix.
    [[nodiscard]] const Value* at(const Block& block) const {
        const auto found = entries_.find(block);
        return found == entries_.end() ? nullptr : &found->second;
    }
    // Is `fits`, called with prefix and value, true of any that contains the whole block?
    template <typename Fits>
    [[nodiscard]] bool any_around(const Block& block, const Fits& fits) const {
        for (unsigned length = 0; length <= block.length; length++) {
            if (!lengths_[length]) continue;
            const auto found = entries_.find(block.widened(length));
            if (found != entries_.end() && fits(found->first, found->second)) return true;
        }
        return false;
    }
    // Is the whole block inside one that is here?
    [[nodiscard]] bool covers(const Block& block) const {
        return any_around(block, [](const Block&, const Value&) { return true; });
    }
    // Has any address of the block an entry?
    [[nodiscard]] bool meets(const Block& block) const {
        if (covers(block)) return true;
        const auto next = entries_.lower_bound(block);
        return next != entries_.end() && block.contains(next->first);
    }

  private:
    Entries entries_;
    std::array<std::size_t, 129> lengths_{};
};

}  // namespace synward
