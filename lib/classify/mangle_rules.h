// SPDX-License-Identifier: GPL-2.0-or-later
// The marker without the kernel module: rules of iptables and ip6tables that look new
// connections up in ipsets and write the class byte of the entry into the conntrack mark.
//
// They are in iptables' own table `mangle`, since that is the only one where the kernel
// lets the SET target copy the mark of an entry (--map-mark); so they cannot be in the
// table of nftables that is ours. Nothing is touched but the chain SYNWARD and the one
// jump to it. iptables is the host's own, with whatever backend it has.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/classify/binding.h"
#include "lib/result.h"

namespace synward {

// Our lines as iptables-save writes them; empty: there are none.
struct MangleRules {
    std::vector<std::string> ipv4;
    std::vector<std::string> ipv6;

    [[nodiscard]] bool none() const { return ipv4.empty() && ipv6.empty(); }
    bool operator==(const MangleRules&) const = default;
};

// What install_mangle_rules() gives to iptables-restore --noflush where the lines
// `present` of ours are there already. Pure.
[[nodiscard]] std::string mangle_text(std::span<const BoundSet> sets, sw_family family,
                                      const std::vector<std::string>& present);

// All three act on the caller's network namespace. Code `unsupported`: there is no
// iptables; ip6tables may be missing where the kernel has no IPv6.

// One transaction for each family; a packet sees the old rules or the new ones. Returns
// what is there then. On an error both families have the old rules.
Result<MangleRules> install_mangle_rules(std::span<const BoundSet> sets);
Result<MangleRules> find_mangle_rules();
// Not an error if there are none, or no iptables.
Result<void> remove_mangle_rules();

}  // namespace synward
