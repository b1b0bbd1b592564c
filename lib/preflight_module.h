// SPDX-License-Identifier: GPL-2.0-or-later
// Is the kernel module there where the config wants it?
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/preflight.h"

namespace synward {

struct KernelModule {
    bool loaded = false;
    bool installed = false;  // and not loaded: the kernel does that when synwardd asks for it
    std::string problem;     // it is loaded, but of another version than this program
};

// Has nothing loaded that is not. `release` of the kernel, as uname says it.
[[nodiscard]] KernelModule find_kernel_module(const std::string& release);

// Pure parts.
// For escalation.transport = "ring" and classify.marker = "module".
[[nodiscard]] std::vector<Finding> check_module(const Config& config, const KernelModule& module);
// Whether doubtful packets will come by nfnetlink_queue.
[[nodiscard]] bool takes_nfqueue(const Config& config, const KernelModule& module);
// `dependencies`: modules.dep, as depmod writes it.
[[nodiscard]] bool lists_module(std::istream& dependencies);

}  // namespace synward
