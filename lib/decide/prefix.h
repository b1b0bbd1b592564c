// SPDX-License-Identifier: GPL-2.0-or-later
// What of a source the deciders tell apart: its host (/32, and /64 of IPv6,
// since one machine has all of that) and its net (/24, /48).
#pragma once

#include <endian.h>

#include <cstdint>
#include <cstring>

#include "lib/address.h"
#include "lib/escalation/event.h"

namespace synward {

enum class Scope : std::uint8_t { host, net };

[[nodiscard]] constexpr unsigned prefix_length(sw_family family, Scope scope) {
    if (family == SW_IPV4) return scope == Scope::host ? 32 : 24;
    return scope == Scope::host ? 64 : 48;
}

// The prefix as a number, exact within its family and scope.
[[nodiscard]] inline std::uint64_t prefix_id(const RawAddress& source, sw_family family, Scope scope) {
    if (family == SW_IPV4) return be32toh(source[0]) >> (scope == Scope::host ? 0 : 8);
    const std::uint64_t top = std::uint64_t{be32toh(source[0])} << 32 | be32toh(source[1]);
    return top >> (scope == Scope::host ? 0 : 16);
}

[[nodiscard]] inline RawAddress raw_address(const Address& address) {
    RawAddress raw{};
    std::memcpy(raw.data(), address.bytes.data(), sizeof raw);
    return raw;
}

[[nodiscard]] inline Address to_address(const RawAddress& raw, sw_family family) {
    Address address{family, {}};
    std::memcpy(address.bytes.data(), raw.data(), family == SW_IPV4 ? 4 : 16);
    return address;
}

// The source's prefix, bits behind it zero.
[[nodiscard]] Prefix prefix_of(const RawAddress& source, sw_family family, Scope scope);

}  // namespace synward
