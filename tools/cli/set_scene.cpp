// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/set_scene.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/sets/mirror_once.h"
#include "tools/cli/config_file.h"
#include "tools/cli/target.h"

namespace synward::cli {

Result<SetScene> SetScene::open(const std::string& given, const Context& context) {
    SetScene scene(context);
    scene.path_ = given;
    if (given.empty())
        scene.path_ = scene.daemon_.running() ? scene.daemon_.config_path() : default_config_path;
    if (auto loaded = load_config(scene.path_))
        scene.config_ = std::move(*loaded);
    else if (!given.empty())
        return tl::unexpected(loaded.error());
    else if (loaded.error().code != ErrorCode::missing)
        scene.problem_ = loaded.error().message;
    return scene;
}

bool SetScene::bound(std::string_view set) const {
    const auto& sets = config_.classify.sets;
    return std::find(sets.begin(), sets.end(), set) != sets.end();
}

SetScene::Acting SetScene::act() {
    Acting acting;
    if (daemon_.running())
        if (const auto& status = daemon_.status(); status.contains("classification"))
            acting.marks = status["classification"]["marker"].value("used", "none") != "none";
    auto instances = loaded_instances();
    if (!instances) {
        acting.notes.push_back(fmt::format("not brought to the driver hook: {}", instances.error().message));
        return acting;
    }
    for (Instance& instance : *instances) {
        const std::string& name = instance.interface().name;
        if (daemon_.protects(name)) {
            if (const std::string problem = daemon_.sets_problem(name); problem.empty())
                acting.interfaces.push_back(name);
            else
                acting.notes.push_back(fmt::format(
                    "the driver hook of {} goes by the sets as they were before: {}", name, problem));
            continue;
        }
        // With a config that cannot be read, the sources that it names would be lost.
        if (!problem_.empty()) {
            acting.notes.push_back(fmt::format("not brought to the driver hook of {}: {}", name, problem_));
            continue;
        }
        const auto summary = mirror_once(config_, instance);
        if (!summary) {
            acting.notes.push_back(
                fmt::format("not brought to the driver hook of {}: {}", name, summary.error().message));
            continue;
        }
        acting.interfaces.push_back(name);
        for (const std::string& problem : summary->problems)
            if (std::find(acting.notes.begin(), acting.notes.end(), problem) == acting.notes.end())
                acting.notes.push_back(problem);
    }
    if (instances->empty() && !acting.marks)
        acting.notes.emplace_back(
            "synward is loaded on no interface and nothing marks connections: the sets only hold it "
            "(synward load DEV, or start synwardd)");
    else if (!daemon_.running())
        acting.notes.emplace_back(
            "synwardd does not run: what ipset changes, and what expires, comes to the driver hook with "
            "the next such command only");
    return acting;
}

Result<SetTools> open_set_tools() {
    auto reader = SetReader::open();
    if (!reader) return tl::unexpected(reader.error());
    auto ipset = Ipset::create();
    if (!ipset) return tl::unexpected(ipset.error());
    return SetTools{std::move(*reader), std::move(*ipset)};
}

void add_set_config(CLI::App* command, std::string& path) {
    command
        ->add_option("-c,--config", path, "Tells fates and bound sets; else synwardd's, else the usual file")
        ->type_name("FILE");
}

std::string family_text(const SetHeader& header) {
    if (!header.family) return "";
    return *header.family == SW_IPV4 ? "inet" : "inet6";
}

}  // namespace synward::cli
