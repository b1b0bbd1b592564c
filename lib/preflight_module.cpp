// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight_module.h"

#include <fmt/format.h>

#include <fstream>
#include <string_view>

#include "lib/escalation/module.h"

namespace synward {
namespace {

bool fits(const KernelModule& module) {
    return module.loaded && module.problem.empty();
}

// A key of the config that says `word`, without which a module that is not there is no harm.
Finding missing_module(std::string_view key, std::string_view word, std::string_view harm,
                       const KernelModule& module) {
    const std::string otherwise = fmt::format("set {} = \"auto\"", key);
    if (module.loaded)
        return {Severity::error, std::string(key), module.problem, fmt::format("or {}", otherwise)};
    if (module.installed)
        return {Severity::note, std::string(key),
                fmt::format("it is \"{}\", and the kernel module synward is installed but not loaded: the "
                            "kernel loads it when synwardd asks for it",
                            word),
                "modprobe synward, to see that it can be loaded"};
    return {
        Severity::error, std::string(key),
        fmt::format("it is \"{}\", and the kernel module synward is neither loaded nor installed, so "
                    "that {}",
                    word, harm),
        fmt::format("install it by DKMS (README.md says how) and run 'modprobe synward', or {}", otherwise)};
}

}  // namespace

KernelModule find_kernel_module(const std::string& release) {
    KernelModule module;
    module.loaded = module_loaded();
    if (module.loaded) {
        if (const auto control = ModuleControl::open();
            !control && control.error().code == ErrorCode::mismatch)
            module.problem = control.error().message;
        return module;
    }
    std::ifstream dependencies(fmt::format("/lib/modules/{}/modules.dep", release));
    module.installed = lists_module(dependencies);
    return module;
}

std::vector<Finding> check_module(const Config& config, const KernelModule& module) {
    std::vector<Finding> findings;
    if (fits(module)) return findings;
    if (config.escalates() && config.escalation.transport == TransportChoice::ring)
        findings.push_back(
            missing_module("escalation.transport", "ring", "nobody is asked about doubtful packets", module));
    if (config.classify.enabled && config.classify.marker == Marker::module)
        findings.push_back(
            missing_module("classify.marker", "module", "new connections get no mark", module));
    return findings;
}

bool takes_nfqueue(const Config& config, const KernelModule& module) {
    if (!config.escalates() || config.escalation.transport == TransportChoice::ring) return false;
    return config.escalation.transport == TransportChoice::nfqueue || !(fits(module) || module.installed);
}

bool lists_module(std::istream& dependencies) {
    for (std::string line; std::getline(dependencies, line);) {
        const std::string_view path = std::string_view(line).substr(0, line.find(':'));
        // It may be compressed: synward.ko.xz
        if (path.substr(path.rfind('/') + 1).starts_with("synward.ko")) return true;
    }
    return false;
}

}  // namespace synward
