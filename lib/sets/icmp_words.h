// SPDX-License-Identifier: GPL-2.0-or-later
// The words by which ipset writes types and codes of ICMP.
#pragma once

#include <cstdint>
#include <string>

namespace synward {

// "echo-request"; "200/7" for what has no word (libipset, icmp.c and icmpv6.c). As in entries
// of sets, the type is the upper byte and the code the lower one.
[[nodiscard]] std::string icmp_word(bool ipv6, std::uint16_t type_and_code);

}  // namespace synward
