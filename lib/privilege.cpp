// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/privilege.h"

#include <linux/capability.h>

#include <fstream>

namespace synward {

std::string missing_capabilities() {
    std::ifstream status("/proc/thread-self/status");
    std::string missing;
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("CapEff:")) continue;
        const unsigned long long held = std::stoull(line.substr(7), nullptr, 16);
        const auto need = [&](unsigned capability, const char* name) {
            if (!(held >> capability & 1)) missing += (missing.empty() ? "" : ", ") + std::string(name);
        };
        need(CAP_NET_ADMIN, "CAP_NET_ADMIN");
        need(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
    }
    return missing;
}

}  // namespace synward
