// SPDX-License-Identifier: GPL-2.0-or-later
// How a service is named on the command line: PORT[,PORT...][/ADDRESS], or the
// name of one that exists.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/address.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward::cli {

struct ServicePlace {
    std::vector<std::uint16_t> ports;
    std::optional<Address> address;
};

// "80", "80,443", "8000-8010", "443/192.0.2.1", "443/2001:db8::1". Pure.
[[nodiscard]] Result<ServicePlace> parse_place(std::string_view text);

// Does the word look like a place rather than like a name?
[[nodiscard]] bool is_place(std::string_view word);

// The name of the service that is called `word` or protects that place. Code
// `missing` where none does; `usage` when the word fits several, or is no place.
// Either names the services there are, with their places.
[[nodiscard]] Result<std::string> resolve_service(const CompiledPolicy& policy, std::string_view word);

}  // namespace synward::cli
