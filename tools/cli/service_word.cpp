// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/service_word.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
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

}  // namespace

Result<ServicePlace> parse_place(std::string_view text) {
    ServicePlace place;
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
    return word.find_first_not_of("0123456789,-") == word.npos || word.find('/') != word.npos;
}

Result<std::string> resolve_service(const CompiledPolicy& policy, std::string_view word) {
    if (policy.find(word)) return std::string(word);
    std::set<unsigned> fitting;
    if (is_place(word)) {
        const auto place = parse_place(word);
        if (!place) return tl::unexpected(place.error());
        for (const std::uint16_t port : place->ports) {
            const unsigned holder = policy.ports[port];
            if (holder && holder != SW_PORT_BY_ADDRESS) fitting.insert(holder);
            for (const AddressEntry& entry : policy.addresses)
                if (entry.port == port && (!place->address || entry.address == *place->address))
                    fitting.insert(entry.service);
        }
    }
    std::vector<std::string_view> names;
    for (unsigned i = 1; i < SW_SERVICES; i++)
        if (policy.services[i].name[0] && (fitting.empty() || fitting.contains(i)))
            names.emplace_back(policy.services[i].name);
    if (fitting.size() == 1) return std::string(policy.services[*fitting.begin()].name);
    if (!fitting.empty())
        return fail(ErrorCode::usage,
                    fmt::format("'{}' fits several services: {}; name one", word, fmt::join(names, ", ")));
    return fail(
        ErrorCode::missing,
        fmt::format("there is no service '{}'; {}", word,
                    names.empty() ? std::string("nothing is protected; `synward protect PORT` does it")
                                  : fmt::format("there are {}", fmt::join(names, ", "))));
}

}  // namespace synward::cli
