// SPDX-License-Identifier: GPL-2.0-or-later
#define TOML_IMPLEMENTATION
#include "lib/config_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lib/config.h"
#include "lib/printable.h"

namespace synward {
namespace {

// A file of garbage shall not make a message of megabytes.
constexpr std::size_t most_mistakes = 20;

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "a list";
        case toml::node_type::string:
            return "a string";
        case toml::node_type::integer:
            return "an integer";
        case toml::node_type::floating_point:
            return "a fraction";
        case toml::node_type::boolean:
            return "true or false";
        case toml::node_type::none:
            return "nothing";
        default:
            return "a date or time";
    }
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); i++) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); j++) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = above;
        }
    }
    return row[b.size()];
}

}  // namespace

std::string_view closest(std::string_view word, const std::vector<std::string_view>& words) {
    if (word.size() > 40) return {};
    std::string_view best;
    std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string_view candidate : words) {
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < least && distance < candidate.size()) {
            least = distance;
            best = candidate;
        }
    }
    return best;
}

void ConfigReader::mistake(const toml::source_region& where, std::string_view key, std::string_view text) {
    if (mistakes_.size() > most_mistakes) return;
    if (mistakes_.size() == most_mistakes) {
        mistakes_.push_back({{UINT32_MAX, 0}, fmt::format("{}: more mistakes are not shown", file_)});
        return;
    }
    mistakes_.push_back(
        {where.begin, fmt::format("{}:{}:{}: {}{}{}", file_, where.begin.line, where.begin.column, key,
                                  key.empty() ? "" : ": ", printable(text, text.npos))});
}

std::string ConfigReader::text() const {
    std::vector<Mistake> sorted = mistakes_;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Mistake& a, const Mistake& b) { return a.where < b.where; });
    std::string text;
    for (const Mistake& m : sorted) text += (text.empty() ? "" : "\n") + m.text;
    return text;
}

void ConfigReader::table(const toml::table& table, const std::string& path,
                         const std::vector<Field>& fields) {
    for (const auto& [key, node] : table) {
        const auto field =
            std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.key == key.str(); });
        if (field != fields.end()) {
            field->read(node);
            continue;
        }
        Words known;
        for (const Field& f : fields) known.push_back(f.key);
        const std::string_view guess = closest(key.str(), known);
        mistake(key.source(), path.empty() ? in_quotes(key.str()) : path + "." + in_quotes(key.str()),
                guess.empty() ? fmt::format("unknown key; known are {}", fmt::join(known, ", "))
                              : fmt::format("unknown key; did you mean '{}'?", guess));
    }
}

std::optional<std::int64_t> ConfigReader::integer(const toml::node& node, std::string_view key,
                                                  std::int64_t least, std::int64_t most) {
    const auto* value = node.as_integer();
    if (!value) {
        mistake(node, key,
                fmt::format("{} where an integer from {} to {} belongs", type_name(node), least, most));
        return std::nullopt;
    }
    if (value->get() < least || value->get() > most) {
        mistake(node, key, fmt::format("{} is out of range; {} to {} is allowed", value->get(), least, most));
        return std::nullopt;
    }
    return value->get();
}

std::optional<bool> ConfigReader::boolean(const toml::node& node, std::string_view key) {
    if (const auto* value = node.as_boolean()) return value->get();
    mistake(node, key, fmt::format("{} where true or false belongs", type_name(node)));
    return std::nullopt;
}

std::optional<std::string> ConfigReader::string(const toml::node& node, std::string_view key) {
    if (const auto* value = node.as_string()) return value->get();
    mistake(node, key, fmt::format("{} where a string belongs", type_name(node)));
    return std::nullopt;
}

std::optional<std::chrono::milliseconds> ConfigReader::duration(const toml::node& node, std::string_view key,
                                                                std::chrono::milliseconds least,
                                                                std::chrono::milliseconds most) {
    const std::string range =
        fmt::format("a string from \"{}\" to \"{}\" with unit ms, s, m, h or d is allowed",
                    duration_text(least), duration_text(most));
    const auto* value = node.as_string();
    if (!value) {
        mistake(node, key, fmt::format("{} is no duration; {}", type_name(node), range));
        return std::nullopt;
    }
    const auto parsed = parse_duration(value->get());
    if (!parsed) {
        mistake(node, key, fmt::format("{} is no duration; {}", in_quotes(value->get()), range));
        return std::nullopt;
    }
    if (*parsed < least || *parsed > most) {
        mistake(node, key, fmt::format("{} is out of range; {}", in_quotes(value->get()), range));
        return std::nullopt;
    }
    return parsed;
}

std::optional<std::size_t> ConfigReader::choice(const toml::node& node, std::string_view key,
                                                const Words& words) {
    const auto* value = node.as_string();
    if (!value) {
        mistake(node, key,
                fmt::format("{} where one of {} belongs", type_name(node), fmt::join(words, ", ")));
        return std::nullopt;
    }
    const auto found = std::find(words.begin(), words.end(), value->get());
    if (found != words.end()) return found - words.begin();
    mistake(node, key,
            fmt::format("{} is unknown; allowed are {}", in_quotes(value->get()), fmt::join(words, ", ")));
    return std::nullopt;
}

void ConfigReader::each(const toml::node& node, std::string_view key,
                        const std::function<void(const toml::node&)>& callback, bool may_be_empty) {
    const auto* list = node.as_array();
    if (!list) {
        callback(node);
        return;
    }
    if (list->empty() && !may_be_empty)
        mistake(node, key, "the list is empty; give one entry or leave the key out");
    for (const toml::node& element : *list) callback(element);
}

}  // namespace synward
