// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses as numbers, for arithmetic on prefixes. An IPv4 address stands in the
// upper 32 of the 128 bits, so that both families obey the same code.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "lib/address.h"

namespace synward {

__extension__ typedef unsigned __int128 AddressNumber;

[[nodiscard]] AddressNumber address_number(const Address& address);
[[nodiscard]] Address number_address(AddressNumber number, sw_family family);
// The distance of two neighbouring addresses.
[[nodiscard]] constexpr AddressNumber address_step(sw_family family) {
    return AddressNumber(1) << (family == SW_IPV4 ? 96 : 0);
}

// A prefix. Two of them are nested or disjoint, and sort so that the wider comes first.
struct Block {
    AddressNumber first = 0;
    unsigned length = 0;

    [[nodiscard]] static Block of(const Prefix& prefix) {
        return {address_number(prefix.address), prefix.length};
    }
    [[nodiscard]] Prefix prefix(sw_family family) const { return {number_address(first, family), length}; }
    // Of the 128 bits: the bits behind an IPv4 address are all ones.
    [[nodiscard]] AddressNumber last() const {
        return length >= 128 ? first : first | (~AddressNumber(0) >> length);
    }
    // The same address with a shorter length.
    [[nodiscard]] Block widened(unsigned to) const {
        return {to == 0 ? 0 : first & ~(to >= 128 ? AddressNumber(0) : ~AddressNumber(0) >> to), to};
    }
    [[nodiscard]] bool contains(const Block& other) const {
        return length <= other.length && other.widened(length).first == first;
    }
    [[nodiscard]] bool contains(AddressNumber address) const { return first <= address && address <= last(); }

    bool operator==(const Block&) const = default;
    auto operator<=>(const Block&) const = default;
};

// The fewest prefixes that make up first..last, both included; empty if last < first.
[[nodiscard]] std::vector<Prefix> range_prefixes(const Address& first, const Address& last);

}  // namespace synward
