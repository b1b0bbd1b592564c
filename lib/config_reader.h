// SPDX-License-Identifier: GPL-2.0-or-later
// Reads typed values from TOML nodes and collects mistakes with their place.
// For config.cpp and config_services.cpp only: it pulls in toml++, which takes seconds to compile.
#pragma once

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 0  // config_reader.cpp holds the implementation
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace synward {

class ConfigReader {
  public:
    using Words = std::vector<std::string_view>;
    struct Field {
        std::string_view key;
        std::function<void(const toml::node&)> read;
    };

    explicit ConfigReader(std::string_view file) : file_(file) {}

    // Calls the reader of every key that is there; any other key is a mistake.
    // `path` is how messages call the table ("service.web").
    void table(const toml::table& table, const std::string& path, const std::vector<Field>& fields);

    void mistake(const toml::source_region& where, std::string_view key, std::string_view text);
    void mistake(const toml::node& node, std::string_view key, std::string_view text) {
        mistake(node.source(), key, text);
    }

    // Each reports a mistake and returns nothing when the node does not fit.
    std::optional<std::int64_t> integer(const toml::node& node, std::string_view key, std::int64_t least,
                                        std::int64_t most);
    std::optional<bool> boolean(const toml::node& node, std::string_view key);
    std::optional<std::string> string(const toml::node& node, std::string_view key);
    std::optional<std::chrono::milliseconds> duration(const toml::node& node, std::string_view key,
                                                      std::chrono::milliseconds least,
                                                      std::chrono::milliseconds most);
    // Index of the word among `words`.
    std::optional<std::size_t> choice(const toml::node& node, std::string_view key, const Words& words);
    // Calls back for every element of an array, or for the node itself if it is
    // none. An empty array is a mistake unless `may_be_empty`.
    void each(const toml::node& node, std::string_view key,
              const std::function<void(const toml::node&)>& callback, bool may_be_empty = false);

    [[nodiscard]] bool ok() const { return mistakes_.empty(); }
    // One line for each mistake, as they stand in the file.
    [[nodiscard]] std::string text() const;

  private:
    std::string file_;
    struct Mistake {
        toml::source_position where;
        std::string text;
    };
    std::vector<Mistake> mistakes_;
};

// The value, if there is one, into a target of a narrower type.
template <typename Target, typename Value>
void take(Target& target, const std::optional<Value>& value) {
    if (!value) return;
    if constexpr (requires { target.value(); })
        target = static_cast<typename Target::value_type>(*value);
    else
        target = static_cast<Target>(*value);
}

}  // namespace synward
