// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/block.h"

namespace synward {

AddressNumber address_number(const Address& address) {
    AddressNumber number = 0;
    for (const std::uint8_t byte : address.bytes) number = number << 8 | byte;
    return number;
}

Address number_address(AddressNumber number, sw_family family) {
    Address address{family, {}};
    const std::size_t size = family == SW_IPV4 ? 4 : 16;
    for (std::size_t i = 0; i < size; i++)
        address.bytes[i] = static_cast<std::uint8_t>(number >> (120 - 8 * i));
    return address;
}

std::vector<Prefix> range_prefixes(const Address& first, const Address& last) {
    std::vector<Prefix> prefixes;
    if (first.family != last.family) return prefixes;
    const sw_family family = first.family;
    const AddressNumber end = Block{address_number(last), last.bits()}.last();
    AddressNumber at = address_number(first);
    while (at <= end) {
        // The widest block that begins here and does not reach beyond the end.
        unsigned length = first.bits();
        while (length > 0) {
            const Block wider = Block{at, length}.widened(length - 1);
            if (wider.first != at || wider.last() > end) break;
            length--;
        }
        const Block block{at, length};
        prefixes.push_back(block.prefix(family));
        if (block.last() == ~AddressNumber(0)) break;
        at = block.last() + 1;
    }
    return prefixes;
}

}  // namespace synward
