// SPDX-License-Identifier: GPL-2.0-or-later
// synward help. With the name of a subcommand it never comes here: spell_out() makes that --help.
#include <fmt/format.h>

#include <memory>

#include "tools/cli/context.h"

namespace synward::cli {

void add_help(CLI::App& app, Context& context) {
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App* command = app.add_subcommand("help", "What --help says, of synward or of a subcommand");
    command->footer("Example:\n  synward help ticket list");
    command->add_option("COMMAND", *words, "The subcommand")->type_name("COMMAND");
    command->callback([words, &app, &context] {
        context.work = [words, &app]() -> Result<void> {
            // Its own help() is that of the subcommand that was given: this one.
            fmt::print("{}",
                       app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal));
            return {};
        };
    });
}

}  // namespace synward::cli
