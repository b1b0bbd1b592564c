// SPDX-License-Identifier: GPL-2.0-or-later
// The service that `synward protect` adds, as the section of a config file that
// would do the same.
#pragma once

#include <optional>
#include <string>

#include "lib/config.h"
#include "lib/result.h"
#include "tools/cli/service_word.h"

namespace synward::cli {

struct ServiceOptions {
    std::string name;  // empty: made of the ports
    std::string mode;  // this and the following: empty or absent for the default
    std::string delivery;
    std::string stray;
    std::string fragment;
    std::string malformed;
    std::string odd_syn;
    std::string escalate_default;
    std::string hold;
    std::optional<std::uint32_t> arm_rate;
    std::optional<std::uint32_t> disarm_rate;
    std::optional<std::uint32_t> escalate_rate;
};

struct Addition {
    std::string toml;  // the [[service]] section
    Config config;     // what it parses to
};

// Checked as the config file is, so that both refuse the same things. Pure.
[[nodiscard]] Result<Addition> make_addition(const ServicePlace& place, const ServiceOptions& options);

}  // namespace synward::cli
