// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

namespace synward::bench {

// Runs a command in the calling thread's namespaces and waits. `input` goes to its stdin.
// Throws std::runtime_error with the command and what it wrote to stderr when it fails.
void run_command(const std::vector<std::string>& words, const std::string& input = {});

// run_command() of one line without quoting.
void run_line(const std::string& line);

}  // namespace synward::bench
