// SPDX-License-Identifier: GPL-2.0-or-later
// Comments on their way between rules and entries of sets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace synward {

// Bytes that fit: of an entry of a set (IPSET_MAX_COMMENT_SIZE) and of a rule of iptables,
// of a rule of nft (NFTNL_UDATA_COMMENT_MAXLEN).
inline constexpr std::size_t set_comment_most = 255;
inline constexpr std::size_t nft_comment_most = 128;

// As it may stand between double quotes where there are no escapes, as in the commands of
// ipset and nft: single quotes for double ones, blanks for control characters, and a blank
// before a dash at its beginning, since ipset takes its own options from there too. Cut to
// `most` bytes, but not within a character of UTF-8.
[[nodiscard]] std::string plain_comment(std::string_view text, std::size_t most);
[[nodiscard]] bool is_plain_comment(std::string_view text, std::size_t most);

}  // namespace synward
