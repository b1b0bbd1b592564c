// SPDX-License-Identifier: GPL-2.0-or-later
// A config as the text of a config file.
#pragma once

#include <string>
#include <string_view>

#include "lib/config.h"

namespace synward {

// [daemon] (interfaces and gateway), [defaults], [limits] and [[service]]: what a policy in
// the kernel can tell. Keys whose values are the built-in ones, and those of services that are
// the defaults, are left out; parse_config() reads back what was given. Pure.
[[nodiscard]] std::string config_text(const Config& config);

// As TOML writes a string.
[[nodiscard]] std::string toml_string(std::string_view text);

}  // namespace synward
