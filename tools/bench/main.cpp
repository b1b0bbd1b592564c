// SPDX-License-Identifier: GPL-2.0-or-later
// synward-bench: measures what the documentation claims, beside a peer in the same run.
#include <fmt/format.h>

#include <exception>

#include "bpf_object.h"
#include "command.h"

int main(int argc, char** argv) {
    using namespace synward::bench;
    CLI::App app("Measures synward and its peers. Exit codes: 0 done, 1 failed, 2 wrong usage.",
                 "synward-bench");
    app.require_subcommand(1);
    app.set_help_all_flag("--help-all", "Help of every subcommand");
    bool verbose = false;
    app.add_flag("--verbose", verbose, "Show the messages of libbpf");
    app.parse_complete_callback([&] { set_libbpf_messages(verbose); });
    add_program(app);
    add_wire(app);
    add_handshake(app);
    add_connect(app);
    add_flood(app);
    add_escalate(app);
    add_ruleset(app);
    add_mirror(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    } catch (const std::exception& error) {
        fmt::print(stderr, "synward-bench: {}\n", error.what());
        return 1;
    }
    return 0;
}
