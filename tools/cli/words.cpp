// SPDX-License-Identifier: GPL-2.0-or-later
// synward words: what the shell's completion offers, one word a line.
#include <fmt/format.h>

#include <memory>
#include <set>

#include "lib/interface.h"
#include "lib/names.h"
#include "lib/sets/reader.h"
#include "tools/cli/context.h"
#include "tools/cli/set_scene.h"
#include "tools/cli/target.h"

namespace synward::cli {
namespace {

std::set<std::string> words_of(const std::string& kind, const Context& context) {
    std::set<std::string> words;
    if (kind == "modes") {
        for (unsigned i = 0; i < SW_MODE_COUNT; i++) words.emplace(mode_name(i));
    } else if (kind == "interfaces") {
        if (const auto interfaces = list_interfaces())
            for (const Interface& interface : *interfaces) words.insert(interface.name);
    } else if (kind == "sets") {
        if (auto reader = SetReader::open())
            if (const auto headers = reader->headers())
                for (const SetHeader& header : *headers) words.insert(header.name);
    } else if (kind == "fates") {
        if (const auto scene = SetScene::open("", context))
            for (const Fate& fate : scene->fates().all()) words.insert(fate.name);
    } else if (const auto instances = loaded_instances()) {
        for (const Instance& instance : *instances) {
            if (kind == "loaded") words.insert(instance.interface().name);
            if (kind != "services") continue;
            if (const auto policy = instance.read_policy())
                for (const ServiceView& view : view_services(*policy)) words.insert(view.name);
        }
    }
    return words;
}

}  // namespace

void add_words(CLI::App& app, Context& context) {
    auto kind = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand("words", "For the completion of shells")->group("");
    command->add_option("KIND", *kind)
        ->required()
        ->check(CLI::IsMember({"fates", "interfaces", "loaded", "modes", "services", "sets"}));
    command->callback([kind, &context] {
        context.work = [kind, &context]() -> Result<void> {
            for (const std::string& word : words_of(*kind, context)) fmt::print("{}\n", word);
            return {};
        };
    });
}

}  // namespace synward::cli
