// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/listeners.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "lib/abi/maps.h"
#include "lib/local_services.h"

namespace synward {
namespace {

bool is_any(const Address& address) {
    return std::ranges::all_of(address.bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool is_loopback(const Address& address) {
    if (address.family == SW_IPV4) return address.bytes[0] == 127;
    return std::all_of(address.bytes.begin(), address.bytes.end() - 1,
                       [](std::uint8_t byte) { return byte == 0; }) &&
           address.bytes.back() == 1;
}

// Where the port is to be protected.
struct Places {
    bool every = false;
    std::set<Address> addresses;
};

// "port-443": only these are made, and unmade, here.
bool is_listeners(std::string_view name) {
    constexpr std::string_view prefix = "port-";
    return name.starts_with(prefix) && name.size() > prefix.size() &&
           name.find_first_not_of("0123456789", prefix.size()) == name.npos;
}

bool names(const std::vector<ServiceConfig>& services, std::string_view name) {
    return std::ranges::any_of(services, [&](const ServiceConfig& s) { return s.name == name; });
}

// In the same places?
bool same(const ServiceView& live, const ServiceConfig& wanted) {
    if (wanted.addresses.empty()) return live.ports == wanted.ports && live.addresses.empty();
    if (!live.ports.empty() || live.addresses.size() != wanted.addresses.size()) return false;
    return std::ranges::all_of(live.addresses, [&](const auto& place) {
        return place.second == wanted.ports.front() &&
               std::ranges::find(wanted.addresses, place.first) != wanted.addresses.end();
    });
}

}  // namespace

Result<std::optional<CompiledPolicy>> follow_listeners(const CompiledPolicy& live, const Config& effective,
                                                       const Config& config, const HostFacts& host,
                                                       const Interface& interface) {
    CompiledPolicy policy = live;
    bool changed = false;
    std::set<std::string> kept;
    for (const ServiceView& view : view_services(live)) {
        if (!is_listeners(view.name) || names(config.services, view.name)) continue;
        const auto wanted = std::ranges::find(effective.services, view.name, &ServiceConfig::name);
        if (wanted != effective.services.end() && same(view, *wanted)) {
            kept.insert(view.name);
            continue;
        }
        auto without = remove_service(policy, view.name);
        if (!without) return tl::unexpected(without.error());
        policy = std::move(*without);
        changed = true;
    }
    Config addition = config;
    addition.services.clear();
    addition.sources = {};
    for (const ServiceConfig& service : effective.services) {
        if (names(config.services, service.name) || kept.contains(service.name)) continue;
        const std::uint16_t port = service.ports.front();
        if (!policy.ports[port]) addition.services.push_back(service);
    }
    if (!addition.services.empty()) {
        auto compiled = compile_policy(addition, host, interface, &policy);
        if (!compiled) return tl::unexpected(compiled.error());
        auto merged = merge_policy(policy, *compiled);
        if (!merged) return tl::unexpected(merged.error());
        policy = std::move(*merged);
        changed = true;
    }
    if (!changed) return std::optional<CompiledPolicy>();
    return std::optional(std::move(policy));
}

ListeningServices listening_services(const std::vector<Listener>& listeners, const LocalAddresses& local,
                                     const Config& config) {
    std::set<std::uint16_t> configured;
    std::set<std::string> taken;
    std::size_t places = place_local(config.services).places.size();
    for (const ServiceConfig& service : config.services) {
        configured.insert(service.ports.begin(), service.ports.end());
        taken.insert(service.name);
        places += service.ports.size() * service.addresses.size();
    }
    ListeningServices result;
    std::map<std::uint16_t, Places> wanted;
    for (const Listener& listener : listeners) {
        if (configured.contains(listener.port) || is_loopback(listener.address)) continue;
        if (listener.interface && listener.interface != local.index) {
            const auto& beyond = local.beyond;
            if (std::ranges::find(beyond, listener.interface) != beyond.end())
                result.beyond.push_back(listener.port);
            continue;
        }
        // The program looks for a listener of each address anyway: what has none passes.
        if (is_any(listener.address))
            wanted[listener.port].every = true;
        else if (local.contains(listener.address))
            wanted[listener.port].addresses.insert(listener.address);
    }

    result.services = config.services;
    for (const auto& [port, where] : wanted) {
        const std::string name = fmt::format("port-{}", port);
        const std::size_t more = where.every ? 0 : where.addresses.size();
        if (result.services.size() >= SW_SERVICES - 1 || places + more > most_places ||
            taken.contains(name)) {
            result.unprotected.push_back(port);
            continue;
        }
        places += more;
        ServiceConfig service{.name = name, .ports = {port}, .listener = true};
        service.settings = config.defaults;
        if (!where.every) service.addresses.assign(where.addresses.begin(), where.addresses.end());
        result.services.push_back(std::move(service));
    }
    std::ranges::sort(result.beyond);
    const auto twice = std::ranges::unique(result.beyond);
    result.beyond.erase(twice.begin(), twice.end());
    return result;
}

}  // namespace synward
