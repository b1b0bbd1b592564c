// SPDX-License-Identifier: GPL-2.0-or-later
// Changing one service of a policy that came from the maps.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/policy.h"

namespace synward {
namespace {

void erase_service(CompiledPolicy& policy, unsigned index) {
    policy.services[index] = {};
    std::replace(policy.ports.begin(), policy.ports.end(), static_cast<std::uint16_t>(index),
                 std::uint16_t{0});
    std::erase_if(policy.addresses, [&](const AddressEntry& e) { return e.service == index; });
    // A port that no address of another service holds is free again.
    for (unsigned port = 0; port < SW_PORTS; port++) {
        if (policy.ports[port] != SW_PORT_BY_ADDRESS) continue;
        const bool held = std::any_of(policy.addresses.begin(), policy.addresses.end(),
                                      [&](const AddressEntry& e) { return e.port == port; });
        if (!held) policy.ports[port] = 0;
    }
}

tl::unexpected<Error> taken(const CompiledPolicy& policy, unsigned holder, const std::string& what) {
    return fail(ErrorCode::config,
                fmt::format("{} is already protected by service '{}'; remove that one first, or "
                            "give both services addresses",
                            what, policy.services[holder].name));
}

// Has it a service that drops or answers?
bool acts(const CompiledPolicy& policy) {
    return std::ranges::any_of(policy.services, [](const sw_service& s) {
        return s.name[0] && (s.mode == SW_MODE_AUTO || s.mode == SW_MODE_COOKIE);
    });
}

}  // namespace

bool is_gateway(const CompiledPolicy& policy, std::string_view but) {
    return policy.config.flags & SW_FLAG_GATEWAY ||
           std::ranges::any_of(policy.services, [&](const sw_service& s) {
               return s.name[0] && s.name != but && s.delivery == SW_DELIVERY_SYNPROXY;
           });
}

Result<CompiledPolicy> merge_policy(const CompiledPolicy& base, const CompiledPolicy& addition) {
    CompiledPolicy merged = base;
    if (!base.config.abi) {
        merged.config = addition.config;
        merged.services[0] = addition.services[0];
    } else {
        // The addition knows the interface and the host as they are now; whether it is a gateway
        // and whether somebody reads events, the policy in force.
        std::copy(std::begin(addition.config.mac), std::end(addition.config.mac), merged.config.mac);
        merged.config.flags =
            addition.config.flags | (base.config.flags & (SW_FLAG_GATEWAY | SW_FLAG_REPORT));
        if (!acts(base)) {
            merged.config.fragment = addition.config.fragment;
            merged.config.malformed = addition.config.malformed;
        }
    }
    merged.notes.insert(merged.notes.end(), addition.notes.begin(), addition.notes.end());

    for (unsigned i = 1; i < SW_SERVICES; i++) {
        if (!addition.services[i].name[0]) continue;
        const std::string_view name = addition.services[i].name;
        if (merged.services[i].name[0] && name != merged.services[i].name)
            return fail(ErrorCode::config, fmt::format("no room for service '{}'", name));
        erase_service(merged, i);
        merged.services[i] = addition.services[i];
    }
    // It needs timestamps whatever the host's sysctl says.
    if (std::ranges::any_of(merged.services, [](const sw_service& s) {
            return s.name[0] && s.delivery == SW_DELIVERY_SYNPROXY;
        }))
        merged.config.flags |= SW_FLAG_TIMESTAMP_COOKIE;
    for (unsigned port = 0; port < SW_PORTS; port++) {
        const std::uint16_t wanted = addition.ports[port];
        const std::uint16_t held = merged.ports[port];
        if (!wanted || wanted == held) continue;
        if (held == SW_PORT_BY_ADDRESS) {
            const auto holder = std::find_if(merged.addresses.begin(), merged.addresses.end(),
                                             [&](const AddressEntry& e) { return e.port == port; });
            return taken(merged, holder->service,
                         fmt::format("port {} of {}", port, holder->address.to_string()));
        }
        if (held) return taken(merged, held, fmt::format("port {}", port));
        merged.ports[port] = wanted;
    }
    for (const AddressEntry& entry : addition.addresses) {
        for (const AddressEntry& other : merged.addresses)
            if (other.port == entry.port && other.address == entry.address)
                return taken(merged, other.service,
                             fmt::format("port {} of {}", entry.port, entry.address.to_string()));
        merged.addresses.push_back(entry);
    }
    for (const SourceEntry& entry : addition.sources) {
        const auto at =
            std::lower_bound(merged.sources.begin(), merged.sources.end(), entry,
                             [](const SourceEntry& a, const SourceEntry& b) { return a.prefix < b.prefix; });
        if (at != merged.sources.end() && at->prefix == entry.prefix)
            at->fate = entry.fate;
        else
            merged.sources.insert(at, entry);
    }
    return merged;
}

Result<CompiledPolicy> remove_service(const CompiledPolicy& base, std::string_view name) {
    const unsigned index = base.find(name);
    if (!index) {
        std::vector<std::string_view> names;
        for (const sw_service& s : base.services)
            if (s.name[0]) names.emplace_back(s.name);
        return fail(ErrorCode::missing,
                    fmt::format("there is no service '{}'; there {}", name,
                                names.empty() ? std::string("is none")
                                              : fmt::format("are {}", fmt::join(names, ", "))));
    }
    CompiledPolicy result = base;
    erase_service(result, index);
    return result;
}

}  // namespace synward
