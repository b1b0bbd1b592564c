// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/comment.h"

#include <algorithm>

namespace synward {
namespace {

bool is_control(char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
}

// A byte of UTF-8 that begins no character.
bool goes_on(char c) {
    return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

}  // namespace

std::string plain_comment(std::string_view text, std::size_t most) {
    std::string plain = text.starts_with('-') ? " " : "";
    plain += text;
    for (char& c : plain) {
        if (c == '"') c = '\'';
        if (is_control(c)) c = ' ';
    }
    if (plain.size() <= most) return plain;
    // A character has four bytes at most; other bytes are no text anyway.
    std::size_t end = most;
    while (end > 0 && most - end < 3 && goes_on(plain[end])) end--;
    plain.resize(end);
    return plain;
}

bool is_plain_comment(std::string_view text, std::size_t most) {
    return !text.empty() && text.size() <= most && text[0] != '-' &&
           std::none_of(text.begin(), text.end(), [](char c) { return c == '"' || is_control(c); });
}

}  // namespace synward
