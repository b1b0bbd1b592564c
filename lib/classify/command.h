// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a command of the host, with text for it to read.
#pragma once

#include <string>
#include <vector>

#include "lib/result.h"

namespace synward {

// What the command printed. `arguments` starts with its name, which is searched in PATH;
// no shell is involved. Waits for its end, 15 s at most. Code `missing`: there is no such
// command; `system`: it failed, with what it said on standard error.
[[nodiscard]] Result<std::string> run_command(const std::vector<std::string>& arguments,
                                              const std::string& input = {});

}  // namespace synward
