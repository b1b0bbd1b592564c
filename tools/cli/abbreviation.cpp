// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/abbreviation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "lib/config.h"

namespace synward::cli {
namespace {

bool takes_value(const CLI::App& app, const std::string& option) {
    // "--socket=PATH" and "-sPATH" bring theirs along, and are no names of options.
    const CLI::Option* found = app.get_option_no_throw(option);
    return found && found->get_expected_max() > 0;
}

bool any(const CLI::App*) {
    return true;
}

bool has_subcommands(const CLI::App& app) {
    return !app.get_subcommands(any).empty();
}

// Those that the word is or begins; hidden ones are to be spelled out.
std::vector<const CLI::App*> meant_by(const CLI::App& app, const std::string& word) {
    std::vector<const CLI::App*> found;
    for (const CLI::App* command : app.get_subcommands(any)) {
        if (command->get_name() == word) return {command};
        if (!word.empty() && !command->get_group().empty() && command->get_name().starts_with(word))
            found.push_back(command);
    }
    return found;
}

// What other commands call it.
std::string_view usual_word(std::string_view word) {
    for (const std::string_view other : {"undeny", "unallow", "unmark", "unban", "del", "delete", "remove"})
        if (word == other) return "forget";
    for (const std::string_view other : {"ban", "block", "drop"})
        if (word == other) return "deny";
    return {};
}

tl::unexpected<Error> nobody(const CLI::App& app, const std::string& word) {
    std::vector<std::string_view> names;
    for (const CLI::App* command : app.get_subcommands(any))
        if (!command->get_group().empty()) names.push_back(command->get_name());
    std::string_view like = usual_word(word);
    if (std::find(names.begin(), names.end(), like) == names.end()) like = closest(word, names);
    return fail(ErrorCode::usage,
                fmt::format("there is no subcommand '{}'{}", word,
                            like.empty() ? std::string() : fmt::format("; did you mean '{}'?", like)));
}

}  // namespace

Result<std::vector<std::string>> spell_out(const CLI::App& app, std::vector<std::string> arguments) {
    const CLI::App* at = &app;
    bool help = false;
    for (std::size_t i = 0; i < arguments.size(); i++) {
        std::string& word = arguments[i];
        if (word == "--") break;
        if (word.starts_with('-') && word.size() > 1) {
            if (takes_value(*at, word) || takes_value(app, word)) i++;
            continue;
        }
        const auto meant = meant_by(*at, word);
        if (meant.empty()) return nobody(*at, word);
        if (meant.size() > 1) {
            std::vector<std::string> names;
            for (const CLI::App* command : meant) names.push_back(command->get_name());
            return fail(ErrorCode::usage,
                        fmt::format("'{}' may be {}; write more of it", word, fmt::join(names, " or ")));
        }
        word = meant.front()->get_name();
        const bool more = i + 1 < arguments.size() && !arguments[i + 1].starts_with('-');
        if (at == &app && word == "help" && more) {
            help = true;
            arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i--));
            continue;
        }
        at = meant.front();
        if (!has_subcommands(*at)) break;
    }
    if (help) arguments.emplace_back("--help");
    return arguments;
}

}  // namespace synward::cli
