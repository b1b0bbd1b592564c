// SPDX-License-Identifier: GPL-2.0-or-later
// The subcommands. Each add_* declares its options; the callback runs it and throws on failure.
#pragma once

#include <CLI/CLI.hpp>

namespace synward::bench {

void add_escalate(CLI::App& app);
void add_flood(CLI::App& app);
void add_mirror(CLI::App& app);
void add_program(CLI::App& app);
void add_ruleset(CLI::App& app);
void add_wire(CLI::App& app);
void add_handshake(CLI::App& app);
void add_connect(CLI::App& app);

}  // namespace synward::bench
