// SPDX-License-Identifier: GPL-2.0-or-later
// synward check: is a config file right, and does it fit this host?
#include <fmt/format.h>

#include <memory>
#include <sstream>

#include "lib/exit_status.h"
#include "lib/json.h"
#include "lib/preflight.h"
#include "tools/cli/config_file.h"
#include "tools/cli/context.h"
#include "tools/cli/findings.h"
#include "tools/cli/output.h"

namespace synward::cli {
namespace {

Result<void> run(const std::string& path, const Context& context) {
    const auto config = load_config(path);
    if (!config) {
        if (context.json) {
            nlohmann::json errors = nlohmann::json::array();
            std::istringstream lines(config.error().message);
            for (std::string line; std::getline(lines, line);) errors.push_back(line);
            print_json({{"config", path}, {"valid", false}, {"errors", std::move(errors)}});
        }
        return tl::unexpected(config.error());
    }
    auto findings = preflight(*config, Depth::all);
    if (!check_interfaces(*config, path))
        findings.push_back({Severity::warning,
                            fmt::format("{}:{}:{}", path, config->daemon.line, config->daemon.column),
                            "synwardd needs daemon.interfaces, and does not start without; `synward load` "
                            "takes the config as it is",
                            "name the interfaces to protect, as interfaces = [\"eth0\"] under [daemon]"});
    if (context.json) {
        print_json({{"config", path},
                    {"valid", true},
                    {"interfaces", config->daemon.interfaces},
                    {"services", config->services.size()},
                    {"findings", findings_json(findings)}});
    } else {
        fmt::print("{}: valid; {} services on {} interfaces\n", path, config->services.size(),
                   config->daemon.interfaces.size());
        print_findings(findings_json(findings));
    }
    return judge(findings);
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
    auto path = std::make_shared<std::string>(default_config_path);
    CLI::App* command = add_command(
        app, context, "check", "Check a config file, and whether something on this host stands in its way",
        "synward check /etc/synward/synward.toml");
    command->add_option("CONFIG", *path, "The file")->capture_default_str()->type_name("FILE");
    command->callback([path, &context] { context.work = [=, &context] { return run(*path, context); }; });
}

}  // namespace synward::cli
