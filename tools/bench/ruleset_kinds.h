// SPDX-License-Identifier: GPL-2.0-or-later
// The firewalls that `synward-bench ruleset` compares. All deny the same addresses, one by one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ruleset_lab.h"

namespace synward::bench {

enum class Marker { kMangle, kModule };

struct Ruleset {
    std::string kind;      // "nft rules"
    uint32_t entries = 0;  // denied addresses: rules, or entries of a set
    bool tracked = true;   // it needs, or has, connection tracking
    bool one_rule = false;
    bool linear = false;
    bool set = false;  // `entries` are of a set
    Denied denied;     // those whose packets are measured: the worst case for this kind
    // In the host's namespace. Throws std::runtime_error.
    std::function<void()> install;

    std::string name() const;  // kind and entries
};

struct RulesetChoice {
    std::vector<uint32_t> linear{1, 100, 1000, 10000};
    std::vector<uint32_t> sets{10, 1000, 10000, 100000, 1000000};
    // Type and options but skbinfo; these as the daemon makes its sets.
    std::string set_type = "hash:net timeout 0 counters comment";
    bool module = false;            // the kernel module is loaded here
    std::vector<std::string> only;  // kinds; empty: all
};

std::vector<Ruleset> all_rulesets(const RulesetChoice& choice);

}  // namespace synward::bench
