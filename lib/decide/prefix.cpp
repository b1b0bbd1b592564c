// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/decide/prefix.h"

#include <algorithm>

namespace synward {

Prefix prefix_of(const RawAddress& source, sw_family family, Scope scope) {
    Prefix prefix{to_address(source, family), prefix_length(family, scope)};
    // Every length of ours is whole bytes.
    std::fill(prefix.address.bytes.begin() + prefix.length / 8, prefix.address.bytes.end(), std::uint8_t{0});
    return prefix;
}

}  // namespace synward
