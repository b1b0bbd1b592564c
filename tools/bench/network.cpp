// SPDX-License-Identifier: GPL-2.0-or-later
#include "network.h"

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>

namespace synward::bench {

Address parse_address(std::string_view text) {
    if (const auto address = Address::parse(text)) return *address;
    throw std::runtime_error(fmt::format("'{}' is neither an IPv4 nor an IPv6 address", text));
}

Prefix parse_prefix(std::string_view text) {
    bool host_bits = false;
    if (const auto prefix = Prefix::parse(text, &host_bits)) return *prefix;
    throw std::runtime_error(fmt::format("'{}' is no prefix (192.0.2.0/24, 2001:db8::/32){}", text,
                                         host_bits ? ": bits are set behind its length" : ""));
}

Mac parse_mac(std::string_view text) {
    Mac mac{};
    int used = 0;
    const std::string copy(text);
    if (sscanf(copy.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2], &mac[3],
               &mac[4], &mac[5], &used) != 6 ||
        static_cast<size_t>(used) != copy.size())
        throw std::runtime_error(fmt::format("'{}' is not a MAC address (aa:bb:cc:dd:ee:ff)", text));
    return mac;
}

std::string to_string(const Mac& mac) {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", mac[0], mac[1], mac[2], mac[3], mac[4],
                       mac[5]);
}

Address offset(const Address& base, uint32_t n) {
    Address result = base;
    const size_t end = size_of(base);
    uint64_t carry = n;
    for (size_t i = 0; i < 4; ++i) {
        carry += result.bytes[end - 1 - i];
        result.bytes[end - 1 - i] = static_cast<uint8_t>(carry);
        carry >>= 8;
    }
    return result;
}

bool is_test_network(const Prefix& prefix) {
    for (const char* text :
         {"198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"}) {
        const Prefix network = parse_prefix(text);
        if (prefix.length >= network.length && network.contains(prefix.address)) return true;
    }
    return false;
}

}  // namespace synward::bench
