// SPDX-License-Identifier: GPL-2.0-or-later
// A policy as the maps hold it. compile_policy() makes one from a config,
// Instance::read_policy() reads the one in force, Instance::apply() enforces it.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "lib/abi/policy.h"
#include "lib/address.h"
#include "lib/config.h"
#include "lib/host.h"
#include "lib/interface.h"
#include "lib/result.h"

namespace synward {

struct AddressEntry {
    Address address;
    std::uint16_t port = 0;  // host byte order
    std::uint16_t service = 0;
};

// Of a source at one port, or else at every port. An entry for its port decides about a
// packet before all others, whatever their lengths.
struct SourceEntry {
    Prefix prefix;
    sw_fate fate = SW_FATE_DENY;
    std::uint32_t port = 0;  // destination, TCP, host byte order; 0: every port

    [[nodiscard]] auto place() const { return std::tie(port, prefix); }  // what they are sorted by
};

struct CompiledPolicy {
    // abi, generation, stamps and keyring are apply()'s business and zero here
    // (those of the live policy after read_policy()).
    sw_config config{};
    std::array<sw_service, SW_SERVICES> services{};  // index 0: none; an empty name: free
    std::vector<std::uint16_t> ports = std::vector<std::uint16_t>(SW_PORTS);  // as struct sw_ports
    std::vector<AddressEntry> addresses;
    std::vector<SourceEntry> sources;  // sorted by place, each once; empty after read_policy()
    std::vector<std::string> notes;    // decisions worth a line in the log and in status
    Sysctls sysctls;                   // that it was compiled for; not told by read_policy()

    // Index of the service of that name, 0 for none.
    [[nodiscard]] unsigned find(std::string_view name) const;
};

// Is its host a gateway? The config said so, or a service other than `but` uses SYNPROXY.
[[nodiscard]] bool is_gateway(const CompiledPolicy& policy, std::string_view but = {});

// Pure but for the random hash keys, which are drawn only without `previous`.
// `previous` is the policy in force: services keep the index of their name and
// the hash keys stay, since state, counters and the filter hang on them. Its
// services that `config` does not name are gone in the result.
[[nodiscard]] Result<CompiledPolicy> compile_policy(const Config& config, const HostFacts& host,
                                                    const Interface& interface,
                                                    const CompiledPolicy* previous = nullptr);

// Adds the services and sources of `addition` (which was compiled with `base` as
// previous) to `base`; a service of the same name is replaced. Code `config` when
// both claim an address and port, or there is no room.
[[nodiscard]] Result<CompiledPolicy> merge_policy(const CompiledPolicy& base, const CompiledPolicy& addition);

// Takes one service out. Code `missing` names the services there are.
[[nodiscard]] Result<CompiledPolicy> remove_service(const CompiledPolicy& base, std::string_view name);

// One service in words and human units.
struct ServiceView {
    unsigned index = 0;
    std::string name;
    sw_service service{};
    std::vector<std::uint16_t> ports;                          // protected on every address
    std::vector<std::pair<Address, std::uint16_t>> addresses;  // address and port
    std::uint32_t arm_rate = 0;                                // SYNs a second
    std::uint32_t disarm_rate = 0;
    std::chrono::milliseconds hold{};
};
[[nodiscard]] std::vector<ServiceView> view_services(const CompiledPolicy& policy);

// A rate per second of the whole interface as the bucket of one of `cpus` CPUs.
[[nodiscard]] sw_rate_limit rate_limit(std::uint32_t per_second, unsigned cpus, unsigned hz);
// Times and rates as the maps hold them: ticks, and SYNs in one arming window.
[[nodiscard]] std::uint32_t ticks_of(std::chrono::milliseconds time, unsigned hz);
[[nodiscard]] std::uint32_t syns_in_window(std::uint64_t per_second, unsigned hz, std::uint32_t window_shift);
// On how many CPUs packets of the interface come in: what rate_limit() spreads a rate over.
[[nodiscard]] unsigned receiving_cpus(const HostFacts& host, const Interface& interface);
// What SYNPROXY announces: the value that its manual page uses, since the server behind it is not known.
inline constexpr std::uint8_t synproxy_wscale = 7;
// Bytes for the data of a TCP segment without options.
[[nodiscard]] unsigned segment_room(const Interface& interface, sw_family family);
// The window scale that Linux announces (tcp_select_initial_window()).
[[nodiscard]] std::uint8_t host_wscale(const Sysctls& sysctls);

}  // namespace synward
