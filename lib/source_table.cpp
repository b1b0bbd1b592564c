// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/source_table.h"

#include <atomic>
#include <cstring>

#include "xdp/hash.h"

namespace synward {
namespace {

__u64 load(__u64& entry) {
    return std::atomic_ref(entry).load(std::memory_order_relaxed);
}
void store(__u64& entry, __u64 value) {
    std::atomic_ref(entry).store(value, std::memory_order_release);
}

bool is_free(__u64 entry) {
    return (entry & SW_SOURCE_FATE) == SW_FATE_NONE;
}

// What an entry says of its set stays, whatever it says of a source.
void replace(__u64& entry, __u64 value) {
    store(entry, value | (load(entry) & SW_SOURCE_OVERFLOW));
}

}  // namespace

SourceTable::Place SourceTable::place(const Address& source) const {
    __u64 words[2] = {0, 0};
    std::memcpy(words, source.bytes.data(), source.bits() / 8);
    const __u64 hash = hash_exact(hash_key_, words, source.family);
    return {sw_source_index(hash, shift_), sw_source_way(hash), sw_source_tag(hash, source.family)};
}

bool SourceTable::put(const Address& source, sw_fate fate) {
    const Place at = place(source);
    auto& entries = sets_[at.set].entry;
    __u64* free = is_free(entries[at.way]) ? &entries[at.way] : nullptr;
    for (__u64& entry : entries) {
        if (sw_source_fate(entry, at.tag)) {
            if (sw_source_fate(entry, at.tag) != fate) replace(entry, at.tag | fate);
            return true;
        }
        if (!free && is_free(entry)) free = &entry;
    }
    if (free)
        replace(*free, at.tag | fate);
    else
        store(entries[0], load(entries[0]) | SW_SOURCE_OVERFLOW);
    return free;
}

void SourceTable::remove(const Address& source) {
    const Place at = place(source);
    for (__u64& entry : sets_[at.set].entry)
        if (sw_source_fate(entry, at.tag)) replace(entry, 0);
}

void SourceTable::fill(const std::vector<SourceEntry>& entries) {
    for (const SourceEntry& entry : entries)
        if (entry.prefix.is_host()) put(entry.prefix.address, entry.fate);
}

void SourceTable::settle(const std::vector<SourceEntry>& entries) {
    std::vector<bool> crowded(std::size_t{1} << shift_);
    for (const SourceEntry& entry : entries)
        if (entry.prefix.is_host() && !put(entry.prefix.address, entry.fate))
            crowded[place(entry.prefix.address).set] = true;
    // Only now that every entry is in its way: who reads the bit before it goes asks the
    // hash map, who reads it later finds the entry.
    for (std::size_t set = 0; set < crowded.size(); set++) {
        __u64& first = sets_[set].entry[0];
        if (load(first) & SW_SOURCE_OVERFLOW && !crowded[set])
            store(first, load(first) & ~__u64{SW_SOURCE_OVERFLOW});
    }
}

}  // namespace synward
