// SPDX-License-Identifier: GPL-2.0-or-later
// Subcommands in short, as ip(8) and nft(8) take them: `synward mon`, `synward set l`.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "lib/result.h"

namespace synward::cli {

// The arguments (without the program's name) with the words of subcommands spelled out, and
// `help COMMAND` as `COMMAND --help`. Code `usage` names those that a word may stand
// for, and the one that looks like a word that is nobody's beginning. Pure.
[[nodiscard]] Result<std::vector<std::string>> spell_out(const CLI::App& app,
                                                         std::vector<std::string> arguments);

}  // namespace synward::cli
