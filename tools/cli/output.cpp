// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace synward::cli {

bool colours_wanted() {
    static const bool wanted = [] {
        const char* none = std::getenv("NO_COLOR");
        const char* terminal = std::getenv("TERM");
        return isatty(STDOUT_FILENO) && !(none && *none) && terminal && std::string_view(terminal) != "dumb";
    }();
    return wanted;
}

std::string paint(std::string_view text, Colour colour, bool wanted) {
    constexpr std::array<int, 6> codes{0, 1, 2, 31, 33, 32};
    if (!wanted || colour == Colour::none) return std::string(text);
    return fmt::format("\033[{}m{}\033[0m", codes[static_cast<unsigned>(colour)], text);
}

void flush_output() {
    errno = 0;
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return;
    throw std::system_error(errno ? errno : EIO, std::generic_category(), "standard output");
}

void print_json(const nlohmann::json& json) {
    const int indent = isatty(STDOUT_FILENO) ? 2 : -1;
    fmt::print("{}\n", json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_json_line(const nlohmann::json& json) {
    fmt::print("{}\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    flush_output();
}

std::string rate_text(double n) {
    if (n <= 0) return "0";
    constexpr std::array<std::string_view, 4> units{"", "k", "M", "G"};
    std::size_t unit = 0;
    // 999.5 is printed as 1.00k, not as 1000.
    while (n >= 999.5 && unit + 1 < units.size()) n /= 1000, unit++;
    if (unit == 0) return n < 1 ? "<1" : fmt::format("{:.0f}", n);
    return fmt::format("{:.{}f}{}", n, n < 9.995 ? 2 : n < 99.95 ? 1 : 0, units[unit]);
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 4> units{"B", "KiB", "MiB", "GiB"};
    auto n = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (n >= 1024 && unit + 1 < units.size()) n /= 1024, unit++;
    return fmt::format("{:.{}f} {}", n, unit && n < 10 ? 1 : 0, units[unit]);
}

std::string seconds_text(std::uint64_t s) {
    if (s < 60) return fmt::format("{} s", s);
    if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
    if (s < 86400) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
    return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
}

std::string ports_text(const std::vector<std::uint16_t>& ports) {
    std::string text;
    for (std::size_t i = 0; i < ports.size();) {
        std::size_t last = i;
        while (last + 1 < ports.size() && ports[last + 1] == ports[last] + 1) last++;
        if (!text.empty()) text += ',';
        text += last - i < 2 ? std::to_string(ports[i]) : fmt::format("{}-{}", ports[i], ports[last]);
        i = last - i < 2 ? i + 1 : last + 1;
    }
    return text;
}

}  // namespace synward::cli
