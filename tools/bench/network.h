// SPDX-License-Identifier: GPL-2.0-or-later
// Addresses of the command line, and which of them may be used without asking.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/address.h"

namespace synward::bench {

using Mac = std::array<uint8_t, 6>;

// They throw std::runtime_error that names the text.
Address parse_address(std::string_view text);
Prefix parse_prefix(std::string_view text);
Mac parse_mac(std::string_view text);

std::string to_string(const Mac& mac);

inline size_t size_of(const Address& address) {
    return address.family == SW_IPV4 ? 4 : 16;
}

// The n-th address after `base` (within its last 32 bits).
Address offset(const Address& base, uint32_t n);

// Networks that nobody owns: RFC 2544 (benchmarking), RFC 5737 and RFC 3849 (documentation).
bool is_test_network(const Prefix& prefix);

}  // namespace synward::bench
