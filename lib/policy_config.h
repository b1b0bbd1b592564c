// SPDX-License-Identifier: GPL-2.0-or-later
// The config that a policy was made of, as far as the policy tells: the way back of
// compile_policy(). For `synward save`, and for looking at what stands in its way.
#pragma once

#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/host.h"
#include "lib/interface.h"
#include "lib/local_addresses.h"
#include "lib/policy.h"

namespace synward {

// Numbers are the roundest that give the same policy on this host. Deliveries are those in
// force; see prefer_auto(). What is told of a service with "local" are the addresses that are
// not among `local`, which is that of the interface. Sources are not in it: the maps keep
// hashes of them. Nor is what daemon and deciders read. Pure.
[[nodiscard]] Config config_of(const CompiledPolicy& policy, const HostFacts& host,
                               const Interface& interface, const LocalAddresses& local = {});

// Where `auto` chooses the same delivery on this host, the config says so, and fits other
// kernels as well. Pure.
void prefer_auto(Config& config, const HostFacts& host);

// Names of the services that differ, and "limits" and "defaults" for what is of no service;
// indices, keys and sources do not count. Pure.
[[nodiscard]] std::vector<std::string> differences(const CompiledPolicy& a, const CompiledPolicy& b);

}  // namespace synward
