// SPDX-License-Identifier: GPL-2.0-or-later
// Sources that completed a handshake: what they say of themselves is true, since
// a cookie came back by the path to them.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "lib/decide/hash.h"
#include "lib/decide/prefix.h"

namespace synward {

// Of one family and scope. One thread writes, any reads; relaxed atomics, no
// lock. Holds 32 hash bits instead of the prefix: a stranger looks proven with
// probability 2^-30 (four entries are compared), which nobody can raise without the key.
class ProvenTable {
  public:
    struct Proof {
        std::uint32_t handshakes = 0;  // since the source was last forgotten; 0: not proven
        std::uint64_t age = 0;         // of the last, ns, in steps of 0.27 s
        [[nodiscard]] bool within(std::uint64_t window) const { return handshakes && age <= window; }
    };

    ProvenTable(std::size_t entries, std::chrono::nanoseconds window, KeySource& keys);
    // A handshake at `now` (ns). The bucket's entry whose last handshake is oldest gives way.
    void add(std::uint64_t prefix, std::uint64_t now);
    [[nodiscard]] Proof find(std::uint64_t prefix, std::uint64_t now) const;
    [[nodiscard]] std::size_t memory_bytes() const { return count_ * sizeof(Bucket); }

  private:
    static constexpr std::size_t ways = 4;
    static constexpr unsigned time_shift = 28;  // 32 bits of 0.27 s last 36 years

    // word: hash bits above, time below, so that both change at once. 0: empty.
    struct alignas(64) Bucket {
        std::array<std::atomic<std::uint64_t>, ways> word;
        std::array<std::atomic<std::uint32_t>, ways> handshakes;
    };
    static std::uint32_t time_of(std::uint64_t now) { return static_cast<std::uint32_t>(now >> time_shift); }
    [[nodiscard]] Bucket& bucket(std::uint64_t prefix) const {
        return buckets_[hash_index(index_(prefix), count_)];
    }
    static bool is(std::uint64_t word, std::uint32_t tag) {
        return word && static_cast<std::uint32_t>(word >> 32) == tag;
    }

    std::size_t count_;
    std::uint32_t window_;  // in steps of time_shift
    HashKey index_;
    HashKey tag_;
    std::unique_ptr<Bucket[]> buckets_;
};

// Hosts and nets of both families.
class ProvenSources {
  public:
    ProvenSources(std::size_t hosts, std::size_t nets, std::chrono::nanoseconds window, KeySource& keys);
    void add(const RawAddress& source, sw_family family, std::uint64_t now);
    [[nodiscard]] ProvenTable::Proof find(const RawAddress& source, sw_family family, Scope scope,
                                          std::uint64_t now) const {
        return table(family, scope).find(prefix_id(source, family, scope), now);
    }
    [[nodiscard]] std::size_t memory_bytes() const;

  private:
    [[nodiscard]] const ProvenTable& table(sw_family family, Scope scope) const {
        return tables_[family * 2u + static_cast<unsigned>(scope)];
    }
    std::array<ProvenTable, SW_FAMILIES * 2> tables_;  // family, scope
};

}  // namespace synward
