// SPDX-License-Identifier: GPL-2.0-or-later
// The interface of the default route.
#pragma once

#include <istream>
#include <optional>
#include <string>

namespace synward::cli {

// The interface with the best default route, IPv4 before IPv6; nothing if there is none.
[[nodiscard]] std::optional<std::string> default_route_interface();

// Of /proc/net/route and /proc/net/ipv6_route. Pure.
[[nodiscard]] std::optional<std::string> default_route4(std::istream& table);
[[nodiscard]] std::optional<std::string> default_route6(std::istream& table);

}  // namespace synward::cli
