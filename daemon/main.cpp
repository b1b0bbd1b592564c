// SPDX-License-Identifier: GPL-2.0-or-later
// synwardd's command line.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <exception>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "lib/exit_status.h"
#include "lib/preflight.h"

namespace {

using namespace synward;

constexpr const char* default_config = "/etc/synward/synward.toml";

int report(const Error& error) {
    fmt::print(stderr, "synwardd: {}\n", error.message);
    return exit_status(error.code);
}

int test_config(const std::string& path) {
    const auto config = load_daemon_config(path);
    if (!config) return report(config.error());
    fmt::print("{}: fine: {} services on {} interfaces (`synward check {}` looks at this host too)\n", path,
               config->services.size(), config->daemon.interfaces.size(), path);
    return 0;
}

int run(DaemonOptions options) {
    start_log();
    Daemon daemon(std::move(options));
    const auto done = daemon.run();
    if (done) return 0;
    log_error(done.error().message);
    return exit_status(done.error().code);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Keeps the policy of a config file on its interfaces and answers `synward`.", "synwardd");
    app.footer(
        "Example:\n  synwardd -c /etc/synward/synward.toml\n\n"
        "SIGHUP reads the config again. When it ends, the kernel goes on enforcing the policy.\n\n" +
        exit_status_text());
    app.set_version_flag("-V,--version", "synwardd " SYNWARD_VERSION);
    DaemonOptions options{.config_path = default_config, .version = SYNWARD_VERSION};
    bool test = false;
    app.add_option("-c,--config", options.config_path, "The config file")->capture_default_str();
    app.add_flag("-t,--test", test, "Check the config file and exit");
    app.add_option("-s,--socket,--control", options.control, "The control socket, instead of the config's")
        ->envname("SYNWARD_SOCKET");
    app.add_option("-l,--log-level", options.log_level, "Instead of the config's")
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(ExitStatus::usage);
    }
    try {
        return test ? test_config(options.config_path) : run(std::move(options));
    } catch (const std::exception& error) {
        fmt::print(stderr, "synwardd: {}\n", error.what());
        return static_cast<int>(ExitStatus::failed);
    }
}
