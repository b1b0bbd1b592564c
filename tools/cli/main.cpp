// SPDX-License-Identifier: GPL-2.0-or-later
// synward: controls synward's programs in the kernel, with and without synwardd.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <sstream>
#include <system_error>

#include "lib/exit_status.h"
#include "tools/cli/abbreviation.h"
#include "tools/cli/context.h"
#include "tools/cli/output.h"

namespace {

using namespace synward;

// What was printed must have been written: `synward save >file` on a full disk has not done it.
Result<void> with_output(const std::function<Result<void>()>& work) {
    try {
        auto done = work();
        if (done) cli::flush_output();
        return done;
    } catch (const std::system_error& error) {
        if (!std::ferror(stdout)) return fail(ErrorCode::system, error.what());
        return fail(ErrorCode::system,
                    fmt::format("cannot write to standard output: {}", error.code().message()));
    } catch (const std::exception& error) {
        return fail(ErrorCode::system, error.what());
    }
}

int end(const Result<void>& done) {
    if (done) return static_cast<int>(ExitStatus::done);
    fmt::print(stderr, "synward: {}\n", done.error().message);
    return exit_status(done.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    using namespace synward::cli;
    // `synward stats | head` is no failure.
    std::signal(SIGPIPE, SIG_DFL);

    Context context;
    CLI::App app("Keeps TCP services reachable through SYN floods, at the network driver.", "synward");
    app.footer(
        "Example:\n  synward protect 443 --dev eth0 && synward top\n\n`synward COMMAND --help` tells "
        "more; a COMMAND may be cut short as long as it is clear.\n\n" +
        exit_status_text());
    app.set_version_flag("-V,--version", "synward " SYNWARD_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    app.add_flag("-j,--json", context.json, "Print JSON");
    app.add_option("-s,--socket,--control", context.socket, "Control socket of synwardd")
        ->envname("SYNWARD_SOCKET")
        ->type_name("PATH");
    add_load(app, context);
    add_unload(app, context);
    add_status(app, context);
    add_stats(app, context);
    add_metrics(app, context);
    add_protect(app, context);
    add_unprotect(app, context);
    add_mode(app, context);
    add_rotate(app, context);
    add_monitor(app, context);
    add_top(app, context);
    add_why(app, context);
    add_ticket(app, context);
    add_deny(app, context);
    add_allow(app, context);
    add_mark(app, context);
    add_forget(app, context);
    add_set(app, context);
    add_save(app, context);
    add_check(app, context);
    add_preflight(app, context);
    add_reasons(app, context);
    add_replay(app, context);
    add_import(app, context);
    add_export(app, context);
    add_help(app, context);
    add_words(app, context);
    auto words = spell_out(app, {argv + 1, argv + argc});
    if (!words) {
        fmt::print(stderr, "synward: {}; see `synward --help`\n", words.error().message);
        return exit_status(words.error().code);
    }
    try {
        std::reverse(words->begin(), words->end());  // as the parser takes them
        app.parse(*words);
    } catch (const CLI::Success& success) {
        return end(with_output([&]() -> Result<void> {
            // The parser would flush it, and lose why that failed.
            std::ostringstream out;
            app.exit(success, out, out);
            fmt::print("{}", out.str());
            return {};
        }));
    } catch (const CLI::ParseError& error) {
        fmt::print(stderr, "synward: {}; see `synward --help`\n", error.what());
        return static_cast<int>(ExitStatus::usage);
    }
    return end(with_output(context.work));
}
