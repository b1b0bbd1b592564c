// SPDX-License-Identifier: GPL-2.0-or-later
// Services made of what listens: daemon.services = "listening".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/address.h"
#include "lib/config.h"
#include "lib/host.h"
#include "lib/local_addresses.h"
#include "lib/policy.h"
#include "lib/result.h"

namespace synward {

// A TCP socket that listens. An IPv6 socket on :: is told as one of each family, unless
// it takes IPv6 only.
struct Listener {
    Address address;         // all zero: every one of the family
    std::uint16_t port = 0;  // host byte order
    unsigned interface = 0;  // that it is bound to, by index; 0: any
    bool mptcp = false;      // told to a privileged reader

    auto operator<=>(const Listener&) const = default;
};

// By sock_diag, of the caller's network namespace; sorted, each once.
[[nodiscard]] Result<std::vector<Listener>> read_listeners();

struct ListeningServices {
    std::vector<ServiceConfig> services;     // the config's own first, then "port-443"
    std::vector<std::uint16_t> unprotected;  // ports for which there was no room
    // Ports with a listener that is bound to another device which the packets pass (a VRF,
    // a VLAN, a bridge): the program cannot look it up, so that its SYNs pass.
    std::vector<std::uint16_t> beyond;
};

// The services of an interface: those that the config names, with their own settings, and
// one of [defaults] for each other port on which something listens that packets of this
// interface can reach. A port with a listener on every address is protected on every
// address, else on those local addresses that have one. Listeners of loopback addresses,
// bound to other interfaces and of ports that the config has are left out. Pure.
[[nodiscard]] ListeningServices listening_services(const std::vector<Listener>& listeners,
                                                   const LocalAddresses& local, const Config& config);

// The live policy with the services of listeners that are in `effective` (the config with
// listening_services()) and not in `config`; nothing where that changes nothing. Other
// services stay as they are, with what `synward mode` and `synward protect` made of them;
// a port that one of them has is theirs.
[[nodiscard]] Result<std::optional<CompiledPolicy>> follow_listeners(const CompiledPolicy& live,
                                                                     const Config& effective,
                                                                     const Config& config,
                                                                     const HostFacts& host,
                                                                     const Interface& interface);

}  // namespace synward
