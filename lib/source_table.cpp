// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/source_table.h"

#include <arpa/inet.h>

#include <algorithm>
#include <atomic>
#include <bit>
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

struct Words {
    __u64 word[2] = {0, 0};
    explicit Words(const Address& a) { std::memcpy(word, a.bytes.data(), a.bits() / 8); }
};

void set_bits(__u64& word, __u64 bits) {
    if (bits & ~load(word)) store(word, load(word) | bits);
}

void set_bit(__u64* words, unsigned index) {
    set_bits(words[index >> 6], 1ULL << (index & 63));
}

}  // namespace

SourceTable::Place SourceTable::place(const Address& source, std::uint32_t port) const {
    const std::uint16_t wire = htons(static_cast<std::uint16_t>(port));
    const __u64 hash = hash_exact(hash_key_, Words(source).word, wire, source.family);
    const std::uint32_t first = sw_source_index(hash, shift_);
    return {first, sw_source_other(first, hash, shift_), sw_source_way(hash),
            sw_source_tag(hash, source.family)};
}

__u64* SourceTable::entry_of(const Place& at) const {
    for (const std::size_t set : {at.set, at.other})
        for (__u64& entry : sets_[set].entry)
            if (sw_source_fate(load(entry), at.tag)) return &entry;
    return nullptr;
}

bool SourceTable::insert_at(const Place& at, sw_fate fate) {
    const auto used = [](sw_source_set& set) {
        return std::count_if(std::begin(set.entry), std::end(set.entry),
                             [](__u64& e) { return load(e) != 0; });
    };
    sw_source_set* set = &sets_[at.set];
    const auto first = used(*set);
    if (first >= SW_SOURCE_WAYS / 2 && used(sets_[at.other]) < first) set = &sets_[at.other];
    for (unsigned tried = 0; tried < SW_SOURCE_WAYS; tried++) {
        __u64& entry = set->entry[(at.way + tried) % SW_SOURCE_WAYS];
        if (load(entry)) continue;
        store(entry, at.tag | fate);
        return true;
    }
    return false;
}

bool SourceTable::put(const Address& source, sw_fate fate, std::uint32_t port) {
    const Place at = place(source, port);
    __u64* entry = entry_of(at);
    if (!entry) return insert_at(at, fate);
    store(*entry, at.tag | fate);
    return true;
}

// Neighbouring addresses crowd together under one key in some hundreds: one step of what
// cuckoo hashing does (Pagh and Rodler, 2001) is enough at half load.
bool SourceTable::make_room(std::size_t set) {
    for (__u64& entry : sets_[set].entry) {
        const auto number = static_cast<std::uint32_t>(set);
        sw_source_set& to = sets_[sw_source_other(number, entry >> SW_SOURCE_TAG_SHIFT, shift_)];
        __u64* const free = std::find(std::begin(to.entry), std::end(to.entry), 0u);
        if (free == std::end(to.entry)) continue;
        store(*free, load(entry));
        store(entry, 0);
        return true;
    }
    return false;
}

bool SourceTable::insert(const Address& source, sw_fate fate, std::uint32_t port) {
    const Place at = place(source, port);
    return insert_at(at, fate) || ((make_room(at.set) || make_room(at.other)) && insert_at(at, fate));
}

void SourceTable::remove(const Address& source, std::uint32_t port) {
    if (__u64* entry = entry_of(place(source, port))) store(*entry, 0);
}

sw_fate SourceTable::find(const Address& source, std::uint32_t port) const {
    const Place at = place(source, port);
    __u64* entry = entry_of(at);
    return entry ? static_cast<sw_fate>(sw_source_fate(load(*entry), at.tag)) : SW_FATE_NONE;
}

unsigned SourceGate::shift_for(std::size_t hosts, unsigned most) {
    const auto bits = static_cast<unsigned>(std::bit_width(std::max<std::size_t>(16 * hosts, 1) - 1));
    return std::clamp(bits, unsigned{SW_GATE_BITS}, most);
}

void SourceGate::open(const Prefix& p) {
    const sw_family family = p.address.family;
    const Words words(p.address);
    if (p.is_host()) {
        __u64 bits;
        const std::uint32_t word = hash_gate_exact(hash_key_, words.word, shift_, &bits, family);
        set_bits(exact_[word], bits);
        return;
    }
    __u64* bits = prefix_[family];
    const unsigned first = hash_gate_prefix(words.word, family);
    if (p.length >= (family == SW_IPV4 ? 16u : 32u)) {
        set_bit(bits, first);
        return;
    }
    // Shorter: every index it covers. IPv6's are scattered by the hash, and such
    // prefixes are rare, so all of them.
    const unsigned from = family == SW_IPV4 ? first : 0;
    const unsigned count = family == SW_IPV4 ? 1u << (16 - p.length) : 1u << SW_GATE_BITS;
    for (unsigned i = from; i < from + count; i++) set_bit(bits, i);
}

std::uint32_t source_set(const Prefix& prefix, std::uint32_t port) {
    const bool v4 = prefix.address.family == SW_IPV4;
    std::uint32_t sets = v4 ? SW_SET_PREFIX4 : SW_SET_PREFIX6;
    if (prefix.is_host()) sets = v4 ? SW_SET_EXACT4 : SW_SET_EXACT6;
    if (port) sets |= v4 ? SW_SET_PORT4 : SW_SET_PORT6;
    return sets;
}

}  // namespace synward
