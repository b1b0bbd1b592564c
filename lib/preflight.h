// SPDX-License-Identifier: GPL-2.0-or-later
// What on this host stands in the way of a config: looked at before it bites.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config.h"
#include "lib/host.h"
#include "lib/interface.h"
#include "lib/listeners.h"

namespace synward {

enum class Severity { note, warning, error };
[[nodiscard]] std::string_view severity_name(Severity severity);

struct Finding {
    Severity severity = Severity::note;
    std::string subject;  // the sysctl, rule, interface or file
    std::string text;     // what is wrong and what it does to connections, one line
    std::string fix;      // the command or setting that mends it, one line
};

// How far preflight() looks. Firewall rules take long where there are many. `all` adds the
// module, queues and ipsets that the config asks for, which synwardd follows and tells of itself.
enum class Depth { host, rules, all };

// Looks at everything below, and for `all` as lib/preflight_{module,queues,sets}.h do. Needs no
// privilege, but sees more with it. For `rules` it runs `nft` and `iptables-save` where they
// are installed. Never fails: what cannot be looked at is a finding.
[[nodiscard]] std::vector<Finding> preflight(const Config& config, Depth depth = Depth::rules);

// Pure parts.
[[nodiscard]] std::vector<Finding> check_sysctls(const Config& config, const HostFacts& host);
[[nodiscard]] std::vector<Finding> check_interface(const Interface& interface, bool vlan_offload, bool lro);
// On which something of this host listens.
using HeardPorts = std::set<std::uint16_t>;
// Services on whose port an MPTCP socket listens.
[[nodiscard]] std::vector<Finding> check_mptcp(const Config& config, const std::vector<Listener>& listeners);
// `json`: output of `nft -j list ruleset`; rules that redirect a protected port, or drop
// new connections whose first packet is not a SYN.
[[nodiscard]] std::vector<Finding> check_nft(const Config& config, std::string_view json,
                                             const HeardPorts& heard = {});
// Where a service uses SYNPROXY: is a rule of the rulesets (of either kind) for it?
[[nodiscard]] std::vector<Finding> check_synproxy(const Config& config,
                                                  const std::vector<std::string>& rulesets);
// `text`: output of iptables-save or iptables-legacy-save.
[[nodiscard]] std::vector<Finding> check_iptables(const Config& config, std::string_view text,
                                                  const HeardPorts& heard = {});

}  // namespace synward
