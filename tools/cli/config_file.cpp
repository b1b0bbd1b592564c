// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/config_file.h"

#include "lib/config.h"

namespace synward::cli {

std::string control_path(const std::string& given) {
    if (!given.empty()) return given;
    const auto config = load_config(default_config_path);
    return config ? config->daemon.control : std::string(default_control_path);
}

}  // namespace synward::cli
