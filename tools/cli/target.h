// SPDX-License-Identifier: GPL-2.0-or-later
// Which interfaces a command is about.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "lib/instance.h"
#include "lib/result.h"

namespace synward::cli {

// The optional [DEV]..., which may also be given as --dev DEV.
void add_devices(CLI::App* command, std::vector<std::string>& devices);
// --dev DEV only, where the arguments are something else.
void add_device_option(CLI::App* command, std::vector<std::string>& devices);

// Every interface that has synward, by index. Interfaces without it, or with
// somebody else's program, are left out.
[[nodiscard]] Result<std::vector<Instance>> loaded_instances();

// Those named, or else all that have synward. Code `missing` where a named one
// has not, or none has.
[[nodiscard]] Result<std::vector<Instance>> find_instances(const std::vector<std::string>& devices);

}  // namespace synward::cli
