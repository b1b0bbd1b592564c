// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/config_services.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/printable.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// Two generations of addresses share the map.
constexpr std::size_t most_addresses = 2048;
constexpr std::size_t most_services = SW_SERVICES - 1;
// "local" among the claims of a port: no service can name this address.
constexpr Address local_claim{.family = SW_IPV6};

}  // namespace

// The keys that [defaults] and [[service]] share.
ServiceReader::Fields ServiceReader::settings(Settings& s, const std::string& path) {
    static const ConfigReader::Words modes{"off", "monitor", "auto", "cookie"};
    static const ConfigReader::Words deliveries{"auto", "reqsk", "kernel", "synproxy"};
    static const ConfigReader::Words actions{"pass", "drop", "escalate"};
    static const ConfigReader::Words odd_actions{"answer", "drop", "escalate"};
    static const ConfigReader::Words defaults{"pass", "drop"};
    auto choice = [this, path]<typename T>(T& target, const char* key, const ConfigReader::Words& words) {
        return [this, &target, key, path, &words](const toml::node& n) {
            if (const auto i = read_.choice(n, path + key, words)) target = static_cast<T>(*i);
        };
    };
    auto flag = [this, path](std::optional<bool>& target, const char* key) {
        return [this, &target, key, path](const toml::node& n) { target = read_.boolean(n, path + key); };
    };
    return {
        {"mode", choice(s.mode, "mode", modes)},
        {"delivery", choice(s.delivery, "delivery", deliveries)},
        {"stray", choice(s.stray, "stray", actions)},
        {"fragment", choice(s.fragment, "fragment", actions)},
        {"malformed", choice(s.malformed, "malformed", actions)},
        {"odd_syn", choice(s.odd_syn, "odd_syn", odd_actions)},
        {"escalate_rate",
         [this, &s, path](const toml::node& n) {
             take(s.escalate_rate, read_.integer(n, path + "escalate_rate", 1, 10'000'000));
         }},
        {"escalate_default", choice(s.escalate_default, "escalate_default", defaults)},
        {"arm_rate",
         [this, &s, path](const toml::node& n) {
             take(s.arm_rate, read_.integer(n, path + "arm_rate", 1, 100'000'000));
         }},
        {"disarm_rate",
         [this, &s, path](const toml::node& n) {
             take(s.disarm_rate, read_.integer(n, path + "disarm_rate", 1, 100'000'000));
         }},
        {"hold", [this, &s,
                  path](const toml::node& n) { take(s.hold, read_.duration(n, path + "hold", 100ms, 24h)); }},
        {"mss",
         [this, &s, path](const toml::node& n) { take(s.mss, read_.integer(n, path + "mss", 256, 65495)); }},
        {"wscale",
         [this, &s, path](const toml::node& n) { take(s.wscale, read_.integer(n, path + "wscale", 0, 14)); }},
        {"sack", flag(s.sack, "sack")},
        {"timestamps", flag(s.timestamps, "timestamps")},
        {"ecn", flag(s.ecn, "ecn")},
    };
}

void ServiceReader::check_rates(const toml::table& table, const Settings& s, const std::string& path) {
    if (!s.disarm_rate || *s.disarm_rate <= s.arm_rate) return;
    const toml::node* node = table.get("disarm_rate") ? table.get("disarm_rate") : table.get("arm_rate");
    if (node)
        read_.mistake(
            *node, path + "disarm_rate",
            fmt::format("{} is above arm_rate ({}); at most that is allowed", *s.disarm_rate, s.arm_rate));
}

void ServiceReader::defaults(const toml::table& table) {
    read_.table(table, "defaults", settings(config_.defaults, "defaults."));
    check_rates(table, config_.defaults, "defaults.");
}

void ServiceReader::services(const toml::node& node) {
    const auto* list = node.as_array();
    if (!list || !list->is_array_of_tables()) {
        read_.mistake(node, "service", "services are sections with two brackets; write [[service]]");
        return;
    }
    if (list->size() > most_services)
        read_.mistake(node, "service",
                      fmt::format("{} services; at most {} are allowed", list->size(), most_services));
    for (const toml::node& element : *list) service(*element.as_table());
}

void ServiceReader::service(const toml::table& table) {
    ServiceConfig service;
    service.settings = config_.defaults;
    const auto* name = table.get_as<std::string>("name");
    const std::string path = name ? fmt::format("service.{}.", printable(name->get(), SW_NAME_LENGTH))
                                  : fmt::format("service.{}.", config_.services.size() + 1);
    Fields fields = settings(service.settings, path);
    fields.push_back({"name", [&](const toml::node& n) { service_name(n, path, service); }});
    fields.push_back({"port", [&](const toml::node& n) { service_ports(n, path, service); }});
    fields.push_back({"address", [&](const toml::node& n) { service_addresses(n, path, service); }});
    read_.table(table, path.substr(0, path.size() - 1), fields);

    if (!table.contains("name"))
        read_.mistake(table, path + "name", "is missing; every service needs a name of its own");
    if (!table.contains("port"))
        read_.mistake(table, path + "port", "is missing; give a port from 1 to 65535 or a list of them");
    check_rates(table, service.settings, path);
    claim(table, path, service);
    config_.services.push_back(std::move(service));
}

void ServiceReader::service_name(const toml::node& node, const std::string& path, ServiceConfig& service) {
    const auto name = read_.string(node, path + "name");
    if (!name) return;
    const bool plain = std::all_of(name->begin(), name->end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    });
    if (name->empty() || name->size() >= SW_NAME_LENGTH || !plain) {
        read_.mistake(node, path + "name",
                      fmt::format("no fit name; 1 to {} letters, digits, '-', '_' and '.' are allowed",
                                  SW_NAME_LENGTH - 1));
        return;
    }
    const auto [other, fresh] = seen_names_.try_emplace(*name, node.source().begin.line);
    if (!fresh)
        read_.mistake(node, path + "name",
                      fmt::format("the service in line {} has this name too; every service needs its own",
                                  other->second));
    service.name = *name;
}

void ServiceReader::service_ports(const toml::node& node, const std::string& path, ServiceConfig& service) {
    read_.each(node, path + "port", [&](const toml::node& element) {
        const auto port = read_.integer(element, path + "port", 1, 65535);
        if (!port) return;
        if (std::find(service.ports.begin(), service.ports.end(), *port) != service.ports.end())
            read_.mistake(element, path + "port", fmt::format("{} is listed twice", *port));
        else
            service.ports.push_back(static_cast<std::uint16_t>(*port));
    });
}

void ServiceReader::service_addresses(const toml::node& node, const std::string& path,
                                      ServiceConfig& service) {
    read_.each(node, path + "address", [&](const toml::node& element) {
        const auto text = read_.string(element, path + "address");
        if (!text) return;
        if (*text == "local") {
            if (std::exchange(service.local, true))
                read_.mistake(element, path + "address", "\"local\" is listed twice");
            return;
        }
        const auto address = Address::parse(*text);
        if (!address || *address == Address{} || *address == Address{.family = SW_IPV6})
            read_.mistake(element, path + "address",
                          "no address of an interface; one like \"192.0.2.1\" or \"2001:db8::1\" and "
                          "\"local\" (all that are local) are allowed; for every address leave the key "
                          "out");
        else if (std::find(service.addresses.begin(), service.addresses.end(), *address) !=
                 service.addresses.end())
            read_.mistake(element, path + "address", fmt::format("{} is listed twice", address->to_string()));
        else
            service.addresses.push_back(*address);
    });
}

// Every address and port belongs to one service. A port is either protected
// on every address or on named ones: the program looks in one place only. "local"
// leaves to other services what they name, but there can be one of it only.
void ServiceReader::claim(const toml::table& table, const std::string& path, const ServiceConfig& service) {
    const toml::node* node = table.get("port");
    if (!node) return;
    // A list of addresses that were all refused is no "every address".
    const bool everywhere = !table.contains("address");
    for (const std::uint16_t port : service.ports) {
        auto& taken = claims_[port];
        if (everywhere) {
            if (!taken.empty())
                read_.mistake(*node, path + "port",
                              fmt::format("{} is already protected by service {}; give both services "
                                          "addresses or different ports",
                                          port, in_quotes(taken.begin()->second)));
            taken.try_emplace(Address{}, service.name);
            continue;
        }
        if (service.local) {
            const auto other = taken.contains(Address{}) ? taken.find(Address{}) : taken.find(local_claim);
            if (other != taken.end())
                read_.mistake(*node, path + "port",
                              fmt::format("{} is already protected on every local address by service "
                                          "{}; give this one other addresses or ports",
                                          port, in_quotes(other->second)));
            else
                taken.try_emplace(local_claim, service.name);
        }
        for (const Address& address : service.addresses) {
            const auto other = taken.contains(Address{}) ? taken.find(Address{}) : taken.find(address);
            if (other != taken.end()) {
                read_.mistake(*node, path + "port",
                              fmt::format("{} port {} is already protected by service {}; give both "
                                          "services addresses or different ports",
                                          address.to_string(), port, in_quotes(other->second)));
                continue;
            }
            taken.try_emplace(address, service.name);
            if (++address_count_ == most_addresses + 1)
                read_.mistake(
                    *node, path + "address",
                    fmt::format("more than {} pairs of address and port in all services", most_addresses));
        }
    }
}

}  // namespace synward
