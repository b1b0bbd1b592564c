// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace synward {
namespace {

constexpr std::array<std::uint8_t, 12> mapped_head{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool bit(const Address& address, unsigned index) {
    return address.bytes[index / 8] >> (7 - index % 8) & 1;
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
    // inet_pton wants a terminated string; nothing longer can be an address.
    char buffer[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos) return std::nullopt;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = 0;

    Address address;
    if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) return address;
    address.family = SW_IPV6;
    if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) return address;
    return std::nullopt;
}

Address Address::from_mapped(const std::uint8_t (&bytes)[16]) {
    Address address;
    if (std::equal(mapped_head.begin(), mapped_head.end(), bytes)) {
        std::copy_n(bytes + 12, 4, address.bytes.begin());
    } else {
        address.family = SW_IPV6;
        std::copy_n(bytes, 16, address.bytes.begin());
    }
    return address;
}

std::array<std::uint8_t, 16> Address::mapped() const {
    if (family == SW_IPV6) return bytes;
    std::array<std::uint8_t, 16> result{};
    std::copy(mapped_head.begin(), mapped_head.end(), result.begin());
    std::copy_n(bytes.begin(), 4, result.begin() + 12);
    return result;
}

std::string Address::to_string() const {
    char buffer[INET6_ADDRSTRLEN];
    inet_ntop(family == SW_IPV4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
    return buffer;
}

std::optional<Prefix> Prefix::parse(std::string_view text, bool* host_bits) {
    if (host_bits) *host_bits = false;
    const std::size_t slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    Prefix prefix{*address, address->bits()};
    if (slash == text.npos) return prefix;

    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix.length);
    if (error != std::errc() || end != digits.data() + digits.size() || prefix.length > address->bits())
        return std::nullopt;
    for (unsigned i = prefix.length; i < address->bits(); i++) {
        if (!bit(*address, i)) continue;
        if (host_bits) *host_bits = true;
        return std::nullopt;
    }
    return prefix;
}

Prefix Prefix::around(const Address& address, unsigned length) {
    Prefix prefix{address, std::min(length, address.bits())};
    for (unsigned i = prefix.length; i < address.bits(); i = (i | 7) + 1)
        prefix.address.bytes[i / 8] &= static_cast<std::uint8_t>(~(0xffu >> i % 8));
    return prefix;
}

bool Prefix::contains(const Address& other) const {
    if (other.family != address.family) return false;
    for (unsigned i = 0; i < length; i++)
        if (bit(address, i) != bit(other, i)) return false;
    return true;
}

std::size_t Prefix::count(std::size_t most) const {
    const unsigned free = address.bits() - length;
    return free < 32 ? std::min(std::size_t{1} << free, most + 1) : most + 1;
}

Address Prefix::at(std::uint32_t number) const {
    Address result = address;
    for (unsigned byte = address.bits() / 8; number; number >>= 8)
        result.bytes[--byte] |= static_cast<std::uint8_t>(number);
    return result;
}

std::string Prefix::to_string() const {
    return is_host() ? address.to_string() : address.to_string() + "/" + std::to_string(length);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets) host = host.substr(1, host.size() - 2);
    const auto address = Address::parse(host);
    // As in a URL: brackets tell IPv6's colons from the port's.
    if (!address || brackets != (address->family == SW_IPV6)) return std::nullopt;
    Endpoint endpoint{*address, 0};
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size() || endpoint.port == 0) return std::nullopt;
    return endpoint;
}

std::string Endpoint::to_string() const {
    const std::string host = address.to_string();
    return address.family == SW_IPV4 ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

}  // namespace synward
