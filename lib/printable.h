// SPDX-License-Identifier: GPL-2.0-or-later
// Foreign text in messages: whatever a file says, a terminal and a log take it for text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace synward {

// At most `most` bytes of it, "..." behind where it was longer. What is no printable UTF-8 is a '?'
// for each byte: control characters (those of one byte, and U+0080 to U+009F, which begin escape
// sequences too), marks that turn the direction of text, and what is not valid.
[[nodiscard]] std::string printable(std::string_view text, std::size_t most = 60);
// The same within ''.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace synward
