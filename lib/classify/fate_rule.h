// SPDX-License-Identifier: GPL-2.0-or-later
// The firewall of one rule, in the table that is ours (packaging/synward.nft is the same
// for `nft -f`):
//
//   table inet synward {
//       map fate {
//           type mark : verdict
//           elements = { 0xa comment "fate allow" : accept, 0xb comment "fate accept" : accept,
//                        0xd comment "fate deny" : drop }
//       }
//       chain classify {
//           type filter hook prerouting priority -140; policy accept;
//           ct mark & 0xff vmap @fate
//       }
//   }
//
// After conntrack (-200), the module's hook (-190) and the table mangle (-150), which
// write the mark; at prerouting, so that it holds for local services and for what is
// forwarded. It outlives the daemon. No other chain and no other table is touched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/classify/fates.h"
#include "lib/result.h"

namespace synward {

enum class RuleState : std::uint8_t {
    absent,   // neither chain nor map
    damaged,  // there is something, but it does not do what the fates say
    exact,
};
[[nodiscard]] std::string_view rule_state_name(RuleState state);  // absent, damaged, exact

struct FateRule {
    RuleState state = RuleState::absent;
    std::string difference;   // what is not as it should be; empty: exact
    std::size_t foreign = 0;  // elements of marks that no fate has: the administrator's own
};

// All three act on the caller's network namespace, by one transaction each. `unsupported`
// where the kernel has no nf_tables, or cannot look at conntrack marks; `busy` where others
// change the ruleset all the time.

// Makes the rule; one that is there is brought into its form. Elements of the map whose
// mark no fate has, and which we did not make (no comment "fate NAME"), stay: an
// administrator may send marks of their own to chains of their own.
Result<void> install_fate_rule(const Fates& fates);
// Whether what is there does what install_fate_rule() would make.
Result<FateRule> find_fate_rule(const Fates& fates);
// Takes the chain, the map and, if nothing else is in it, the table away. Not an error if
// there is none. `busy`: a rule of somebody else uses them.
Result<void> remove_fate_rule();

}  // namespace synward
