// SPDX-License-Identifier: GPL-2.0-or-later
// Services whose `address` has the word "local".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/abi/maps.h"
#include "lib/config.h"
#include "lib/local_addresses.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

[[nodiscard]] bool has_local(const std::vector<ServiceConfig>& services);

// Pairs of address and port of all services: two generations share the map.
inline constexpr std::size_t most_places = SW_ADDRESSES / SW_GENERATIONS;

// What "local" means on an interface, for compile_policy(). Pure.
void fill_local(std::vector<ServiceConfig>& services, const LocalAddresses& local);
// The same by what the kernel says now; nothing is asked where no service says "local".
Result<void> read_local(std::vector<ServiceConfig>& services, const std::string& interface);

struct LocalPlaces {
    struct Place {
        const std::string* service;  // name
        Address address;
        std::uint16_t port = 0;
    };
    std::vector<Place> places;
    // Services that are not protected on all of them, and why.
    std::vector<std::pair<std::string, std::string>> left;
};
// Where local services are protected, beside the addresses that they name: on what is
// local, but for what another service names. A prefix is taken as all of its addresses; one
// for which there is no room is left. The services outlive the result. Pure.
[[nodiscard]] LocalPlaces place_local(const std::vector<ServiceConfig>& services);

// The live policy with the addresses that `compiled` (of the config as it is filled now,
// with `live` as previous) gives to local services; nothing where that changes nothing.
// Everything else stays, with what `synward mode` and `synward protect` made of it; an
// address and port that another service has is its own. Pure.
[[nodiscard]] std::optional<CompiledPolicy> follow_local(const CompiledPolicy& live,
                                                         const CompiledPolicy& compiled);

}  // namespace synward
