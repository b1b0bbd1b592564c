// SPDX-License-Identifier: GPL-2.0-or-later
// What is in force, seen as a config: for saving it, and for looking at what stands in its way.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/host.h"
#include "lib/instance.h"
#include "lib/local_addresses.h"

namespace synward::cli {

// The interface and what the policy in force tells; see lib/policy_config.h.
[[nodiscard]] Result<Config> live_config(const Instance& instance, const LocalNetwork& network);
// The interfaces and services of all, even where they contradict each other.
[[nodiscard]] Result<Config> live_config(std::span<const Instance> instances);

// Why services are delivered as they are, a sentence for each delivery in `config`; as far
// as it can be told without the config file that they came from.
[[nodiscard]] std::vector<std::string> delivery_notes(const Config& config, const HostFacts& host);

}  // namespace synward::cli
