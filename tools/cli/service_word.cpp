// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/service_word.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "tools/cli/output.h"

namespace synward::cli {
namespace {

std::optional<std::uint16_t> port_of(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 65535)
        return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

tl::unexpected<Error> no_port(std::string_view text) {
    return fail(
        ErrorCode::usage,
        fmt::format("'{}' is no port; give 1 to 65535, a list as 80,443, or a range as 8000-8010", text));
}

// As others write a port of an address: ADDRESS:PORT, ADDRESS/PORT, PORT/[ADDRESS].
std::optional<std::string> other_notation(std::string_view text) {
    const auto ours = [](std::string_view port, const Address& address) {
        return fmt::format("{}/{}", port, address.to_string());
    };
    if (const auto endpoint = Endpoint::parse(text))
        return ours(std::to_string(endpoint->port), endpoint->address);
    const std::size_t slash = text.find('/');
    if (slash == text.npos) return std::nullopt;
    const std::string_view first = text.substr(0, slash);
    std::string_view second = text.substr(slash + 1);
    if (const auto address = Address::parse(first); address && port_of(second)) return ours(second, *address);
    if (!second.starts_with('[') || !second.ends_with(']')) return std::nullopt;
    second = second.substr(1, second.size() - 2);
    if (const auto address = Address::parse(second)) return ours(first, *address);
    return std::nullopt;
}

// "80,443/192.0.2.1": as parse_place() takes it; of many addresses the first.
std::string place_words(const ServiceView& service) {
    constexpr std::size_t most = 3;
    std::vector<std::string> places;
    if (!service.ports.empty()) places.push_back(ports_text(service.ports));
    std::map<Address, std::set<std::uint16_t>> ports;
    for (const auto& [address, port] : service.addresses) ports[address].insert(port);
    for (const auto& [address, of_it] : ports) {
        if (places.size() == most) {
            places.emplace_back("...");
            break;
        }
        places.push_back(fmt::format("{}/{}", ports_text({of_it.begin(), of_it.end()}), address.to_string()));
    }
    return fmt::format("{}", fmt::join(places, " "));
}

// "web (80,443), mail (25/192.0.2.1)": all, or those of `only`.
std::string services_text(const CompiledPolicy& policy, const std::set<unsigned>& only = {}) {
    constexpr std::size_t most = 20;
    std::vector<std::string> texts;
    std::size_t left_out = 0;
    for (const ServiceView& service : view_services(policy)) {
        if (!only.empty() && !only.contains(service.index)) continue;
        const std::string places = place_words(service);
        if (texts.size() == most)
            left_out++;
        else
            texts.push_back(places.empty() ? service.name : fmt::format("{} ({})", service.name, places));
    }
    std::string text = fmt::format("{}", fmt::join(texts, ", "));
    if (left_out) text += fmt::format(" and {} more, which `synward status` shows", left_out);
    return text;
}

std::string what_there_is(const CompiledPolicy& policy) {
    const std::string services = services_text(policy);
    return services.empty() ? "nothing is protected; `synward protect PORT` does it"
                            : "there are " + services;
}

}  // namespace

Result<ServicePlace> parse_place(std::string_view text) {
    ServicePlace place;
    if (const auto meant = other_notation(text))
        return fail(ErrorCode::usage, fmt::format("'{}' is no PORT/ADDRESS; write {}", text, *meant));
    if (const std::size_t slash = text.find('/'); slash != text.npos) {
        const std::string_view address = text.substr(slash + 1);
        place.address = Address::parse(address);
        if (!place.address)
            return fail(ErrorCode::usage,
                        fmt::format("'{}' is no IP address; give PORT/ADDRESS as 443/192.0.2.1", address));
        text = text.substr(0, slash);
    }
    std::set<std::uint16_t> ports;
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const std::size_t dash = item.find('-');
        const auto first = port_of(item.substr(0, dash));
        const auto last = dash == item.npos ? first : port_of(item.substr(dash + 1));
        if (!first || !last || *last < *first) return no_port(item);
        for (unsigned port = *first; port <= *last; port++) ports.insert(static_cast<std::uint16_t>(port));
        if (comma == text.npos) break;
        text.remove_prefix(comma + 1);
    }
    place.ports.assign(ports.begin(), ports.end());
    return place;
}

bool is_place(std::string_view word) {
    return word.find_first_not_of("0123456789,-") == word.npos || word.find('/') != word.npos ||
           other_notation(word);
}

Result<std::string> resolve_service(const CompiledPolicy& policy, std::string_view word) {
    if (policy.find(word)) return std::string(word);
    std::set<unsigned> fitting;
    if (is_place(word)) {
        const auto place = parse_place(word);
        if (!place)
            return fail(place.error().code,
                        fmt::format("{}; {}", place.error().message, what_there_is(policy)));
        for (const std::uint16_t port : place->ports) {
            const unsigned holder = policy.ports[port];
            if (holder && holder != SW_PORT_BY_ADDRESS) fitting.insert(holder);
            for (const AddressEntry& entry : policy.addresses)
                if (entry.port == port && (!place->address || entry.address == *place->address))
                    fitting.insert(entry.service);
        }
    }
    if (fitting.size() == 1) return std::string(policy.services[*fitting.begin()].name);
    if (!fitting.empty())
        return fail(ErrorCode::usage, fmt::format("'{}' fits several services: {}; name one", word,
                                                  services_text(policy, fitting)));
    return fail(ErrorCode::missing, fmt::format("there is no service '{}'; {}", word, what_there_is(policy)));
}

}  // namespace synward::cli
