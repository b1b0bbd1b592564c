// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <charconv>
#include <cstdint>

#include "lib/config.h"

namespace synward {
namespace {

struct Unit {
    std::string_view name;
    std::int64_t milliseconds;
};
// Largest first, so that duration_text() finds the shortest form.
constexpr std::array<Unit, 5> units{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    const std::string_view unit = text.substr(end - text.data());
    for (const Unit& u : units)
        if (u.name == unit) return std::chrono::milliseconds(number * u.milliseconds);
    return std::nullopt;
}

std::string duration_text(std::chrono::milliseconds value) {
    for (const Unit& u : units)
        if (value.count() && value.count() % u.milliseconds == 0)
            return std::to_string(value.count() / u.milliseconds) + std::string(u.name);
    return "0s";
}

}  // namespace synward
