// SPDX-License-Identifier: GPL-2.0-or-later
// Who has sent how much lately: a table of fixed size that keeps the busiest.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "lib/decide/config.h"
#include "lib/decide/hash.h"

namespace synward {

// A rate limit by the generic cell rate algorithm (ITU-T I.371). Times in ns.
struct Gcra {
    std::uint64_t interval = 0;   // 0: no limit
    std::uint64_t tolerance = 0;  // how far ahead of the rate a source may be

    Gcra() = default;
    explicit Gcra(const Limit& limit)
        : interval(limit.per_second ? 1'000'000'000 / limit.per_second : 0),
          tolerance(limit.burst > 1 ? (limit.burst - 1) * interval : 0) {}

    // One event; false: it is beyond the limit, and `arrival` (the theoretical
    // arrival time of the next) stays.
    [[nodiscard]] bool take(std::atomic<std::uint64_t>& arrival, std::uint64_t now) const {
        if (!interval) return true;
        const std::uint64_t next = std::max(arrival.load(std::memory_order_relaxed), now);
        if (next - now > tolerance) return false;
        arrival.store(next + interval, std::memory_order_relaxed);
        return true;
    }
};

// One thread writes; any thread may read (find(), the getters of Entry): such a
// reader may see an entry that is just being taken over by another key, which
// only `synward why` does. Nothing locks or allocates after construction.
//
// A new key takes over the entry of its bucket that is the least ahead of its
// rate: a flood of random keys passes through while the busy ones stay.
class Ledger {
  public:
    static constexpr std::size_t ways = 5;

  private:
    // Keys and times of arrival, which every look-up reads, come first.
    struct alignas(64) Bucket {
        std::array<std::atomic<std::uint64_t>, ways> key;
        std::array<std::atomic<std::uint64_t>, ways> arrival;
        std::array<std::atomic<std::uint64_t>, ways> ticketed;
    };

  public:
    class Entry {
      public:
        [[nodiscard]] bool take(const Gcra& limit, std::uint64_t now) {
            return limit.take(bucket_->arrival[way_], now);
        }
        // Over its limit until `until`.
        void penalise(const Gcra& limit, std::uint64_t until) {
            bucket_->arrival[way_].store(until + limit.tolerance, std::memory_order_relaxed);
        }
        // Whether the last time this said yes is at least `every` ns ago.
        [[nodiscard]] bool ticket_due(std::uint64_t every, std::uint64_t now) {
            const std::uint64_t last = ticketed();
            if (last && now < last + every) return false;
            bucket_->ticketed[way_].store(now, std::memory_order_relaxed);
            return true;
        }
        [[nodiscard]] std::uint64_t arrival() const {
            return bucket_->arrival[way_].load(std::memory_order_relaxed);
        }
        [[nodiscard]] std::uint64_t ticketed() const {  // 0: never
            return bucket_->ticketed[way_].load(std::memory_order_relaxed);
        }

      private:
        friend class Ledger;
        Entry(Bucket* bucket, std::size_t way) : bucket_(bucket), way_(way) {}
        Bucket* bucket_;
        std::size_t way_;
    };

    // Room for `entries` keys or a few more.
    Ledger(std::size_t entries, const HashKey& key)
        : count_(std::max<std::size_t>(1, (entries + ways - 1) / ways)),
          key_(key),
          buckets_(new Bucket[count_]()) {}

    // Finds the key's entry or takes one over.
    [[nodiscard]] Entry claim(std::uint64_t key) {
        Bucket& bucket = buckets_[hash_index(key_(key), count_)];
        std::size_t least = 0;
        std::uint64_t least_arrival = UINT64_MAX;
        for (std::size_t way = 0; way < ways; way++) {
            // Key 0 is like any other: an empty entry is one of it that is not busy.
            if (bucket.key[way].load(std::memory_order_relaxed) == key) return {&bucket, way};
            const std::uint64_t arrival = bucket.arrival[way].load(std::memory_order_relaxed);
            if (arrival >= least_arrival) continue;
            least = way;
            least_arrival = arrival;
        }
        bucket.key[least].store(key, std::memory_order_relaxed);
        bucket.arrival[least].store(0, std::memory_order_relaxed);
        bucket.ticketed[least].store(0, std::memory_order_relaxed);
        return {&bucket, least};
    }

    [[nodiscard]] std::optional<Entry> find(std::uint64_t key) const {
        Bucket& bucket = buckets_[hash_index(key_(key), count_)];
        for (std::size_t way = 0; way < ways; way++)
            if (bucket.key[way].load(std::memory_order_relaxed) == key) return Entry{&bucket, way};
        return std::nullopt;
    }

    [[nodiscard]] std::size_t memory_bytes() const { return count_ * sizeof(Bucket); }

  private:
    std::size_t count_;
    HashKey key_;
    std::unique_ptr<Bucket[]> buckets_;
};

}  // namespace synward
