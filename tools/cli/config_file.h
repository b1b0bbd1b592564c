// SPDX-License-Identifier: GPL-2.0-or-later
// Where the config file is that nobody named.
#pragma once

#include <string>

namespace synward::cli {

inline constexpr const char* default_config_path = "/etc/synward/synward.toml";

// The control socket: `given`, else what the config file in its usual place says, else the default.
[[nodiscard]] std::string control_path(const std::string& given);

}  // namespace synward::cli
