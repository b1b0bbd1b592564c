// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/toml_guard.h"

namespace synward {
namespace {

constexpr std::string_view blanks = " \t";

// Where a comment begins that cannot be anything else: on a line without quotes
// before it. The parser's idea of where a string ends is not ours to guess.
std::size_t comment_of(std::string_view line) {
    const std::size_t hash = line.find('#');
    if (hash == std::string_view::npos || line.substr(0, hash).find_first_of("\"'") != std::string_view::npos)
        return line.size();
    const bool apart = hash == 0 || blanks.find(line[hash - 1]) != std::string_view::npos;
    return apart ? hash : line.size();
}

bool may_begin_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '"' || c == '\'' || c == ']';
}

// What follows [ or [[ must be a name, or ] for the parser to complain about.
bool header_is_sound(std::string_view line) {
    std::size_t at = line.find_first_not_of(blanks);
    if (at == std::string_view::npos || line[at] != '[') return true;
    at = line.find_first_not_of(blanks, at + 1);
    if (at != std::string_view::npos && line[at] == '[') at = line.find_first_not_of(blanks, at + 1);
    return at != std::string_view::npos && may_begin_name(line[at]);
}

// Of a line without its end.
const char* flaw_of(unsigned char c, bool comment) {
    if (c >= 0x80 && !comment)
        return "a character beyond ASCII; only comments may hold one, on lines of their own";
    if ((c < 0x20 && c != '\t') || c == 0x7f) return "a control character";
    if ((c == '{' || c == '}') && !comment)
        return "no inline tables here: write [[service]] and a line for each key";
    return nullptr;
}

}  // namespace

std::optional<TomlFlaw> toml_flaw(std::string_view text) {
    // The byte order mark, which TOML allows.
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    for (std::size_t number = 1; !text.empty(); number++) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (end != std::string_view::npos && line.ends_with('\r')) line.remove_suffix(1);

        const std::size_t comment = comment_of(line);
        for (std::size_t at = 0; at < line.size(); at++)
            if (const char* what = flaw_of(static_cast<unsigned char>(line[at]), at >= comment))
                return TomlFlaw{{number, at + 1}, what};
        if (!header_is_sound(line)) return TomlFlaw{{number, line.find('[') + 1}, "a name must follow '['"};
    }
    return std::nullopt;
}

}  // namespace synward
