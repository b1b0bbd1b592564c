// SPDX-License-Identifier: GPL-2.0-or-later
// Whom a denied prefix would shut out although nobody means it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/address.h"

namespace synward::cli {

struct Bystander {
    Address address;
    std::string who;         // "your SSH connection comes from there"
    std::uint16_t port = 0;  // it needs this one of tcp's only; 0: any
};

// Who is logged in from elsewhere (SSH_CONNECTION, utmp), and the addresses of this host.
[[nodiscard]] std::vector<Bystander> bystanders();

// Of SSH_CONNECTION, "CLIENT PORT SERVER PORT". Pure.
[[nodiscard]] std::optional<Bystander> ssh_peer(std::string_view connection);

// The first that the prefix holds; `port` of tcp if only that is denied. Pure.
[[nodiscard]] const Bystander* shut_out(const std::vector<Bystander>& bystanders, const Prefix& prefix,
                                        std::optional<std::uint16_t> port);

}  // namespace synward::cli
