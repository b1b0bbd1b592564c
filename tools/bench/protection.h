// SPDX-License-Identifier: GPL-2.0-or-later
// synward on an interface of a benchmark's namespace, and Result<T> turned into exceptions.
#pragma once

#include <stdexcept>
#include <string>

#include "lib/instance.h"
#include "netns.h"

namespace synward::bench {

template <typename T>
T need(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

// Loads synward on `interface` of `netns` with the policy that `config` (TOML) says.
// `object` as in LoadOptions.
Instance protect(const Netns& netns, const std::string& interface, const std::string& config,
                 const std::string& object);

// Compiles `config` and enforces it; services keep their index.
void apply_config(const Netns& netns, Instance& instance, const std::string& config);

// One service on `port` in `mode`, with reply budgets that are checked and never reached.
std::string service_config(uint16_t port, const std::string& mode);

}  // namespace synward::bench
