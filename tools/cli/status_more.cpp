// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/status_more.h"

#include <fmt/format.h>

#include <cstdlib>

#include "lib/host.h"
#include "lib/reasons.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"

namespace synward::cli {

using nlohmann::json;

Result<json> details_json(const Instance& instance) {
    json maps = json::array();
    for (const MapView& map : instance.maps())
        maps.push_back({{"name", map.name}, {"entries", map.entries}, {"bytes", map.bytes}});
    const auto flows = instance.count_flows();
    if (!flows) return tl::unexpected(flows.error());
    const auto tickets = instance.tickets();
    if (!tickets) return tl::unexpected(tickets.error());
    const sw_config config = instance.config();
    json key;
    if (config.abi) {
        const auto age = instance.key_age();
        if (!age) return tl::unexpected(age.error());
        key = age->count();
    }
    const FilterUse filter = instance.filter_use();
    return json{{"maps", std::move(maps)},
                {"flows", *flows},
                {"filter_bits", std::uint64_t{1} << filter.shift},
                {"filter_older_bits", std::uint64_t{1} << filter.other_shift},
                {"filter_set", filter.bits},
                {"tickets", tickets->size()},
                {"key_age_seconds", std::move(key)},
                {"key_version", config.keyring.version},
                {"abi", config.abi},
                {"ticks_per_second", config.hz},
                {"rx_queues", instance.interface().rx_queues},
                {"mtu", instance.interface().mtu}};
}

json host_json() {
    const HostFacts host = read_host("all");
    const Sysctls& s = host.sysctls;
    return {{"kernel", host.kernel},
            {"cpus", host.cpus},
            {"btf", host.btf},
            {"reqsk", host.reqsk},
            {"sysctls",
             {{"net.ipv4.tcp_syncookies", s.tcp_syncookies},
              {"net.ipv4.tcp_timestamps", s.tcp_timestamps},
              {"net.ipv4.tcp_sack", s.tcp_sack ? 1 : 0},
              {"net.ipv4.tcp_window_scaling", s.tcp_window_scaling ? 1 : 0},
              {"net.ipv4.tcp_ecn", s.tcp_ecn}}}};
}

void print_statistics(const json& statistics) {
    Table table({{"SERVICE"}, {"REASON"}, {"PACKETS", Table::Align::right}});
    for (const json& service : statistics["services"])
        for (const auto& [reason, packets] : service["packets"].items())
            table.add({service["name"].is_string() ? service["name"].get<std::string>() : std::string("-"),
                       reason, std::to_string(packets.get<std::uint64_t>())});
    fmt::print("{}", table.empty() ? "  no packet yet\n" : table.text(2));
}

void print_details(const json& details) {
    if (const json& key = details["key_age_seconds"]; key.is_number()) {
        const auto age = key.get<std::int64_t>();
        fmt::print("  key {}: {} {}\n", details["key_version"].get<std::uint32_t>(),
                   age < 0 ? "makes cookies in" : "makes cookies since",
                   seconds_text(static_cast<std::uint64_t>(std::abs(age))));
    }
    fmt::print("  {} flows, {} tickets; {} queues, MTU {}, ABI {}\n", details["flows"].get<std::uint64_t>(),
               details["tickets"].get<std::uint64_t>(), details["rx_queues"].get<unsigned>(),
               details["mtu"].get<unsigned>(), details["abi"].get<unsigned>());
    const auto bits = details["filter_bits"].get<std::uint64_t>();
    fmt::print("  filter of known connections: {} bits, {:.1f} % set\n", bits,
               100 * details["filter_set"].get<double>() / static_cast<double>(bits));
    Table table({{"MAP"}, {"ENTRIES", Table::Align::right}, {"MEMORY", Table::Align::right}});
    for (const json& map : details["maps"])
        table.add({map["name"].get<std::string>(), std::to_string(map["entries"].get<std::uint32_t>()),
                   bytes_text(map["bytes"].get<std::uint64_t>())});
    fmt::print("{}", table.text(2));
}

void print_host(const json& host) {
    std::string sysctls;
    for (const auto& [name, value] : host["sysctls"].items())
        sysctls += fmt::format("{}{} {}", sysctls.empty() ? "" : ", ", name.substr(name.rfind('.') + 1),
                               value.get<int>());
    fmt::print("Linux {}: {} CPUs, {}, request sockets from tc (delivery reqsk): {}; {}\n",
               host["kernel"].get<std::string>(), host["cpus"].get<unsigned>(),
               host["btf"].get<bool>() ? "BTF" : "no BTF", host["reqsk"].get<bool>() ? "yes" : "no", sysctls);
}

}  // namespace synward::cli
