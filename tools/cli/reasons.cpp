// SPDX-License-Identifier: GPL-2.0-or-later
// synward reasons: every way in which a packet leaves synward, in words.
#include "lib/reasons.h"

#include <fmt/format.h>

#include <memory>

#include "lib/exit_status.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"
#include "tools/cli/table.h"

namespace synward::cli {
namespace {

// The tables of synward(8) are made of these when it is built.
void print_mdoc() {
    fmt::print(".Bl -tag -width syn_no_listener -compact\n");
    for (const Reason& reason : reasons)
        fmt::print(".It Cm {}\n{}:\n{}.\n", reason.name, reason_action_name(reason.action), reason.text);
    fmt::print(".El\n");
}

void print_mdoc_statuses() {
    fmt::print(".Bl -tag -width 2n -compact\n");
#define X(NAME, value, text) fmt::print(".It {}\n{}.\n", value, text);
    SYNWARD_EXIT_STATUSES(X)
#undef X
    fmt::print(".El\n");
}

Result<void> run(const std::string& mdoc, const Context& context) {
    if (mdoc == "reasons") {
        print_mdoc();
    } else if (mdoc == "statuses") {
        print_mdoc_statuses();
    } else if (context.json) {
        nlohmann::json list = nlohmann::json::array();
        for (const Reason& reason : reasons)
            list.push_back({{"name", reason.name},
                            {"action", reason_action_name(reason.action)},
                            {"text", reason.text}});
        print_json(list);
    } else {
        Table table({{"REASON"}, {"ACTION"}, {"WHAT HAPPENED"}});
        for (const Reason& reason : reasons)
            table.add({std::string(reason.name), std::string(reason_action_name(reason.action)),
                       std::string(reason.text)});
        fmt::print("{}", table.text());
    }
    return {};
}

}  // namespace

void add_reasons(CLI::App& app, Context& context) {
    auto mdoc = std::make_shared<std::string>();
    CLI::App* command =
        add_command(app, context, "reasons",
                    "Explain the counters: every way in which a packet leaves synward", "synward reasons");
    command->add_option("--mdoc", *mdoc, "A table for the manual pages")
        ->check(CLI::IsMember({"reasons", "statuses"}))
        ->group("");
    command->callback([mdoc, &context] { context.work = [=, &context] { return run(*mdoc, context); }; });
}

}  // namespace synward::cli
