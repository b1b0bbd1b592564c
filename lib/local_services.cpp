// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/local_services.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace synward {
namespace {

constexpr std::size_t most_named = 4;  // in one message

using Place = std::tuple<std::uint16_t, Address, std::uint16_t>;  // service, address, port

std::set<Place> places(const CompiledPolicy& policy, const std::set<std::uint16_t>& services) {
    std::set<Place> found;
    for (const AddressEntry& e : policy.addresses)
        if (services.contains(e.service)) found.insert({e.service, e.address, e.port});
    return found;
}

}  // namespace

bool has_local(const std::vector<ServiceConfig>& services) {
    return std::ranges::any_of(services, &ServiceConfig::local);
}

void fill_local(std::vector<ServiceConfig>& services, const LocalAddresses& local) {
    for (ServiceConfig& service : services)
        if (service.local) service.local_prefixes = local.prefixes;
}

Result<void> read_local(std::vector<ServiceConfig>& services, const std::string& interface) {
    if (!has_local(services)) return {};
    const auto network = read_local_network();
    if (!network) return tl::unexpected(network.error());
    fill_local(services, local_addresses(*network, interface));
    return {};
}

LocalPlaces place_local(const std::vector<ServiceConfig>& services) {
    std::set<std::pair<Address, std::uint16_t>> taken;
    for (const ServiceConfig& s : services)
        for (const Address& address : s.addresses)
            for (const std::uint16_t port : s.ports) taken.insert({address, port});
    LocalPlaces result;
    for (const ServiceConfig& s : services) {
        if (!s.local) continue;
        std::vector<std::string> left;
        for (const Prefix& prefix : s.local_prefixes) {
            const std::size_t count = prefix.count(most_places);
            if (taken.size() + count * s.ports.size() > most_places) {
                left.push_back(prefix.to_string());
                continue;
            }
            for (std::uint32_t i = 0; i < count; i++)
                for (const std::uint16_t port : s.ports)
                    if (const Address address = prefix.at(i); taken.insert({address, port}).second)
                        result.places.push_back({&s.name, address, port});
        }
        if (s.local_prefixes.empty()) result.left.emplace_back(s.name, "no address is local here yet");
        if (left.empty()) continue;
        const std::size_t more = left.size() - std::min(left.size(), most_named);
        left.resize(left.size() - more);
        result.left.emplace_back(
            s.name,
            fmt::format("not protected on the local {}{}, since there is room for {} pairs of address and "
                        "port; leave the key `address` out to protect the port on every address",
                        fmt::join(left, ", "), more ? fmt::format(" and {} more", more) : "", most_places));
    }
    return result;
}

std::optional<CompiledPolicy> follow_local(const CompiledPolicy& live, const CompiledPolicy& compiled) {
    std::set<std::uint16_t> followed;
    for (std::uint16_t i = 1; i < SW_SERVICES; i++)
        if (live.services[i].local && compiled.services[i].local &&
            std::string_view(live.services[i].name) == compiled.services[i].name)
            followed.insert(i);
    std::set<std::pair<Address, std::uint16_t>> taken;
    for (const AddressEntry& e : live.addresses)
        if (!followed.contains(e.service)) taken.insert({e.address, e.port});
    std::set<Place> wanted = places(compiled, followed);
    std::erase_if(wanted, [&](const Place& place) {
        const auto& [service, address, port] = place;
        return live.ports[port] != SW_PORT_BY_ADDRESS || taken.contains({address, port});
    });
    if (wanted == places(live, followed)) return {};
    CompiledPolicy result = live;
    std::erase_if(result.addresses, [&](const AddressEntry& e) { return followed.contains(e.service); });
    for (const auto& [service, address, port] : wanted) result.addresses.push_back({address, port, service});
    return result;
}

}  // namespace synward
