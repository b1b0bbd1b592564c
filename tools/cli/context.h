// SPDX-License-Identifier: GPL-2.0-or-later
// What the subcommands share, and their list.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "lib/result.h"

namespace synward::cli {

struct Context {
    bool json = false;
    std::string socket;                  // empty: control_path() decides
    std::function<Result<void>()> work;  // of the subcommand that was given
};

// Adds a subcommand with --json. `example` is shown at the end of its help.
CLI::App* add_command(CLI::App& app, Context& context, const std::string& name,
                      const std::string& description, const std::string& example);

// Each adds one subcommand; its parameters live as long as the app.
void add_why(CLI::App& app, Context& context);
void add_check(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_help(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_load(CLI::App& app, Context& context);
void add_metrics(CLI::App& app, Context& context);
void add_mode(CLI::App& app, Context& context);
void add_monitor(CLI::App& app, Context& context);
void add_preflight(CLI::App& app, Context& context);
void add_protect(CLI::App& app, Context& context);
void add_reasons(CLI::App& app, Context& context);
void add_replay(CLI::App& app, Context& context);
void add_deny(CLI::App& app, Context& context);
void add_allow(CLI::App& app, Context& context);
void add_mark(CLI::App& app, Context& context);
void add_forget(CLI::App& app, Context& context);
void add_rotate(CLI::App& app, Context& context);
void add_save(CLI::App& app, Context& context);
void add_set(CLI::App& app, Context& context);
void add_stats(CLI::App& app, Context& context);
void add_status(CLI::App& app, Context& context);
void add_ticket(CLI::App& app, Context& context);
void add_top(CLI::App& app, Context& context);
void add_unload(CLI::App& app, Context& context);
void add_unprotect(CLI::App& app, Context& context);
void add_words(CLI::App& app, Context& context);

}  // namespace synward::cli
