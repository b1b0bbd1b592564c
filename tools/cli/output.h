// SPDX-License-Identifier: GPL-2.0-or-later
// How things are printed: for people in words, for programs as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace synward::cli {

enum class Colour { none, bold, dim, red, yellow, green };

// Is stdout a terminal that wants colours? (NO_COLOR, TERM=dumb)
[[nodiscard]] bool colours_wanted();
// As it is when `wanted` is false.
[[nodiscard]] std::string paint(std::string_view text, Colour colour, bool wanted = colours_wanted());

// To stdout whatever was printed. Throws std::system_error where that, or something before it, cannot
// be written, as fmt::print does.
void flush_output();
// To stdout: indented on a terminal, else on one line.
void print_json(const nlohmann::json& json);
// One line whatever stdout is, at once: for streams.
void print_json_line(const nlohmann::json& json);

// "1", "1.5k", "12M": for narrow columns of rates.
[[nodiscard]] std::string rate_text(double per_second);
// "512 B", "1.5 KiB", "45 MiB"
[[nodiscard]] std::string bytes_text(std::uint64_t bytes);
// "5 s", "3 min 20 s", "2 h 5 min", "4 d 1 h"
[[nodiscard]] std::string seconds_text(std::uint64_t seconds);
// "80,443,8000-8010" of sorted ports.
[[nodiscard]] std::string ports_text(const std::vector<std::uint16_t>& ports);

}  // namespace synward::cli
