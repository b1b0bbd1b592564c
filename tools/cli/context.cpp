// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/context.h"

namespace synward::cli {

CLI::App* add_command(CLI::App& app, Context& context, const std::string& name,
                      const std::string& description, const std::string& example) {
    CLI::App* command = app.add_subcommand(name, description);
    command->add_flag("-j,--json", context.json, "Print JSON: indented on a terminal, else on one line");
    command->footer("Example:\n  " + example);
    return command;
}

}  // namespace synward::cli
