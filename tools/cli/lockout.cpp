// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/lockout.h"

#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <utmp.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <sstream>

namespace synward::cli {
namespace {

constexpr std::uint16_t ssh_port = 22;

std::optional<Address> address_of(const sockaddr* socket) {
    if (!socket) return std::nullopt;
    Address address;
    if (socket->sa_family == AF_INET) {
        std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in*>(socket)->sin_addr, 4);
        return address;
    }
    if (socket->sa_family != AF_INET6) return std::nullopt;
    address.family = SW_IPV6;
    std::memcpy(address.bytes.data(), &reinterpret_cast<const sockaddr_in6*>(socket)->sin6_addr, 16);
    return address;
}

void add_local(std::vector<Bystander>& found) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    for (const ifaddrs* one = list; one; one = one->ifa_next)
        if (const auto address = address_of(one->ifa_addr))
            found.push_back({*address, fmt::format("{} is an address of this host, on {}",
                                                   address->to_string(), one->ifa_name)});
}

// sudo takes SSH_CONNECTION away; who is logged in says it all the same.
void add_logins(std::vector<Bystander>& found) {
    setutent();
    while (const utmp* login = getutent()) {
        if (login->ut_type != USER_PROCESS) continue;
        Address address;
        if (login->ut_addr_v6[1] || login->ut_addr_v6[2] || login->ut_addr_v6[3]) address.family = SW_IPV6;
        std::memcpy(address.bytes.data(), login->ut_addr_v6, address.family == SW_IPV4 ? 4 : 16);
        const std::string user(login->ut_user, strnlen(login->ut_user, sizeof login->ut_user));
        if (address != Address{})
            found.push_back(
                {address, fmt::format("{} is logged in from {}", user, address.to_string()), ssh_port});
    }
    endutent();
}

}  // namespace

std::optional<Bystander> ssh_peer(std::string_view connection) {
    std::istringstream stream{std::string(connection)};
    const std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
    if (words.size() != 4) return std::nullopt;
    // A link-local peer has a zone.
    auto address = Address::parse(words[0].substr(0, words[0].find('%')));
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(words[3].data(), words[3].data() + words[3].size(), port);
    if (!address || error != std::errc() || end != words[3].data() + words[3].size()) return std::nullopt;
    if (address->family == SW_IPV6) {
        std::uint8_t bytes[16];
        std::copy(address->bytes.begin(), address->bytes.end(), bytes);
        address = Address::from_mapped(bytes);
    }
    return Bystander{*address, fmt::format("your SSH connection comes from {}", address->to_string()), port};
}

std::vector<Bystander> bystanders() {
    std::vector<Bystander> found;
    if (const char* connection = std::getenv("SSH_CONNECTION"))
        if (auto peer = ssh_peer(connection)) found.push_back(std::move(*peer));
    add_logins(found);
    add_local(found);
    return found;
}

const Bystander* shut_out(const std::vector<Bystander>& bystanders, const Prefix& prefix,
                          std::optional<std::uint16_t> port) {
    const auto found = std::find_if(bystanders.begin(), bystanders.end(), [&](const Bystander& one) {
        return prefix.contains(one.address) && (!port || one.port == 0 || *port == one.port);
    });
    return found == bystanders.end() ? nullptr : &*found;
}

}  // namespace synward::cli
