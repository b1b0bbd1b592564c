// SPDX-License-Identifier: GPL-2.0-or-later
// The one rule that brings escalated packets to nfnetlink_queue:
//
//   table inet synward {
//       chain escalate {
//           type filter hook prerouting priority -299; policy accept;
//           meta mark & 0x8000 == 0x8000 counter queue flags bypass,fanout to FIRST-LAST
//       }
//   }
//
// before conntrack, like the module's hook. `bypass`: without a reader packets
// go on. It outlives the daemon, which finds it again; no other chain is touched.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/result.h"

namespace synward {

// Queues first to last; each CPU takes one.
struct QueueRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    bool operator==(const QueueRange&) const = default;
};

struct QueueRule {
    QueueRange queues;
    bool compat = false;        // through xtables' NFQUEUE target: the kernel lacks nft's queue statement
    std::uint64_t packets = 0;  // that the rule took since it was made
};

// All three act on the caller's network namespace, by one transaction.
// `unsupported` where nf_tables, or every way to a queue, is missing.

// Makes the rule; one that is there (other queues, a damaged chain) is replaced.
Result<QueueRule> install_queue_rule(const QueueRange& queues);
// Nothing if there is none, or none of our form.
Result<std::optional<QueueRule>> find_queue_rule();
// Also takes the table away if nothing else is in it. Not an error if there is none.
Result<void> remove_queue_rule();

}  // namespace synward
