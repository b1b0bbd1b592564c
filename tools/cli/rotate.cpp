// SPDX-License-Identifier: GPL-2.0-or-later
// synward rotate: a fresh cookie key at once, as the daemon's timer makes one now and then.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <optional>

#include "lib/instance.h"
#include "tools/cli/context.h"
#include "tools/cli/daemon_link.h"
#include "tools/cli/output.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

using nlohmann::json;

struct RotateParameters {
    std::vector<std::string> devices;
};

Result<json> rotate(Instance& instance, DaemonLink& daemon) {
    // Where the daemon does it, the daemon takes the lock.
    std::optional<InterfaceLock> lock;
    if (!daemon.protects(instance.interface().name)) {
        auto taken = instance.lock(InterfaceLock::Part::policy);
        if (!taken) return tl::unexpected(taken.error());
        lock.emplace(std::move(*taken));
    }
    return daemon.rotate_keys(instance);
}

std::string left_text(const json& rotation, const char* key) {
    return seconds_text(rotation[key].get<std::uint64_t>());
}

Result<void> run_rotate(const RotateParameters& parameters, const Context& context) {
    auto instances = find_instances(parameters.devices);
    if (!instances) return tl::unexpected(instances.error());
    DaemonLink daemon(context);
    json interfaces = json::array();
    std::vector<std::string> failures;
    std::optional<ErrorCode> code;
    const auto failed = [&](ErrorCode why, std::string text) {
        failures.push_back(std::move(text));
        if (!code) code = why;
    };
    // What one interface refuses does not keep the others from a fresh key.
    for (Instance& instance : *instances) {
        const std::string& device = instance.interface().name;
        // Its first policy brings fresh keys.
        if (parameters.devices.empty() && instances->size() > 1 && !instance.config().abi) continue;
        auto done = rotate(instance, daemon);
        if (!done) {
            failed(done.error().code, done.error().message);
            continue;
        }
        const json& rotation = interfaces.emplace_back(std::move(*done));
        if (!rotation["rotated"].get<bool>())
            failed(ErrorCode::busy,
                   fmt::format("{}: the cookie key is too young to be replaced: cookies of the one before it "
                               "are accepted for another {}; rotate then",
                               device, left_text(rotation, "replaceable_in_seconds")));
        else if (!context.json)
            fmt::print(
                "{}: a fresh cookie key: it makes cookies in {}, and those of the old one are accepted "
                "for another {}\n",
                device, left_text(rotation, "begins_in_seconds"),
                left_text(rotation, "replaceable_in_seconds"));
    }
    if (interfaces.empty() && !code)
        return fail(ErrorCode::missing,
                    "nothing is protected, so there is no cookie key yet; `synward protect PORT` makes one");
    if (context.json && !interfaces.empty()) print_json({{"interfaces", std::move(interfaces)}});
    if (code) return fail(*code, fmt::format("{}", fmt::join(failures, "\n")));
    return {};
}

}  // namespace

void add_rotate(CLI::App& app, Context& context) {
    auto parameters = std::make_shared<RotateParameters>();
    CLI::App* command =
        add_command(app, context, "rotate", "Replace the cookie key by a fresh one", "synward rotate eth0");
    command->footer(command->get_footer() +
                    "\n\nsynwardd does so by itself (key_rotation in its config). No connection is lost.");
    add_devices(command, parameters->devices);
    command->callback([parameters, &context] {
        context.work = [=, &context] { return run_rotate(*parameters, context); };
    });
}

}  // namespace synward::cli
