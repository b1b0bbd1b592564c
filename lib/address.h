// SPDX-License-Identifier: GPL-2.0-or-later
// IP addresses and prefixes as values, in network byte order.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/abi/policy.h"

namespace synward {

// An IPv4 address has its four bytes first and zeros behind them.
struct Address {
    sw_family family = SW_IPV4;
    std::array<std::uint8_t, 16> bytes{};

    // Nothing unless the text is one whole address. No names, no zone index.
    [[nodiscard]] static std::optional<Address> parse(std::string_view text);
    // From a map key: a v4-mapped address (::ffff:a.b.c.d) becomes the IPv4 address.
    [[nodiscard]] static Address from_mapped(const std::uint8_t (&bytes)[16]);
    // IPv4 as ::ffff:a.b.c.d, as keys of sw_addresses hold it.
    [[nodiscard]] std::array<std::uint8_t, 16> mapped() const;
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] unsigned bits() const { return family == SW_IPV4 ? 32 : 128; }

    auto operator<=>(const Address&) const = default;
};

struct Prefix {
    Address address;      // bits behind the length are zero
    unsigned length = 0;  // bits

    // "192.0.2.0/24" or a lone address. Nothing when the text is neither, or
    // when bits are set behind the length (then `host_bits` is made true).
    [[nodiscard]] static std::optional<Prefix> parse(std::string_view text, bool* host_bits = nullptr);
    // The prefix of that length, at most the address's, in which the address is.
    [[nodiscard]] static Prefix around(const Address& address, unsigned length);
    [[nodiscard]] bool is_host() const { return length == address.bits(); }
    [[nodiscard]] bool contains(const Address& other) const;
    // How many addresses it has; `most` + 1 where it has more than `most`.
    [[nodiscard]] std::size_t count(std::size_t most) const;
    [[nodiscard]] Address at(std::uint32_t number) const;  // the number-th of them, from 0
    [[nodiscard]] std::string to_string() const;           // a host without "/32", "/128"

    auto operator<=>(const Prefix&) const = default;
};

// An address and a TCP port.
struct Endpoint {
    Address address;
    std::uint16_t port = 0;

    // "192.0.2.1:80", "[2001:db8::1]:80"; nothing for anything else, and for port 0.
    [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text);
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const Endpoint&) const = default;
};

}  // namespace synward
