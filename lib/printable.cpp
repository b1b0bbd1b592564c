// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/printable.h"

#include <cstdint>

namespace synward {
namespace {

// How many bytes the character takes that `text` begins with; 0 where it is not printable.
std::size_t printable_length(std::string_view text) {
    const auto first = static_cast<std::uint8_t>(text.front());
    if (first < 0x80) return first >= 0x20 && first != 0x7f;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    std::uint32_t code = first & (0x7fu >> length);
    for (std::size_t i = 1; i < length; i++) {
        const auto next = static_cast<std::uint8_t>(text[i]);
        if ((next & 0xc0) != 0x80) return 0;
        code = code << 6 | (next & 0x3f);
    }
    constexpr std::uint32_t least[] = {0, 0, 0xa0, 0x800, 0x10000};
    const bool turns = (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                       (code >= 0x2066 && code <= 0x2069) || code == 0x061c;
    if (code < least[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff || turns) return 0;
    return length;
}

}  // namespace

std::string printable(std::string_view text, std::size_t most) {
    std::string result;
    while (!text.empty()) {
        const std::size_t length = printable_length(text);
        if (result.size() + (length ? length : 1) > most) return result + "...";
        if (length)
            result += text.substr(0, length);
        else
            result += '?';
        text.remove_prefix(length ? length : 1);
    }
    return result;
}

std::string in_quotes(std::string_view text) {
    return "'" + printable(text) + "'";
}

}  // namespace synward
