// SPDX-License-Identifier: GPL-2.0-or-later
// Words that people write about entries of sets, and the commands of ipset that are
// made of them. Pure; errors say what to write instead.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/classify/fates.h"
#include "lib/result.h"
#include "lib/sets/reader.h"

namespace synward {

inline constexpr std::uint32_t set_entries_most = 1'048'576;  // maxelem of sets that we make
// bucketsize of them: a look-up compares one entry or two, not up to twelve, among a million
// as well, and a set of a million takes a sixth more memory. The table grows with the set; a
// larger hashsize from the start would be walked through each time a set is counted.
inline constexpr unsigned set_bucket = 8;
inline constexpr std::chrono::seconds set_timeout_most{UINT32_MAX / 1000 / 2};  // the kernel's limit

// "203.0.113.7" or "203.0.113.0/24".
[[nodiscard]] Result<Prefix> parse_entry_source(std::string_view text);

struct PortWord {
    std::uint8_t protocol = 0;  // IPPROTO_*
    std::uint16_t port = 0;     // host byte order

    bool operator==(const PortWord&) const = default;
};
// "80", which is tcp's, or "udp:53"; tcp, udp, udplite and sctp.
[[nodiscard]] Result<PortWord> parse_port_word(std::string_view text);
[[nodiscard]] std::string port_word_text(const PortWord& port);  // "udp:53"

// The class byte that a fate's name or "0x20" names. Of bytes that no fate has, only
// 0 (no fate, and the search ends) and those that a [[fate]] could have.
[[nodiscard]] Result<std::uint8_t> parse_fate_word(std::string_view text, const Fates& fates);
// "deny"; "none" for 0; "0x33" where no fate has it.
[[nodiscard]] std::string fate_word(std::uint8_t mark, const Fates& fates);

// Who or what an entry is for.
struct EntryPlace {
    Prefix source;
    std::optional<PortWord> port;
    std::string interface;  // empty: any
};
// As ipset writes it: "203.0.113.0/24,tcp:80". `usage` where a set of this type and
// family cannot hold it.
[[nodiscard]] Result<std::string> entry_word(const SetHeader& set, const EntryPlace& place);
// Of an entry that was read; without nomatch. "10.0.0.0/8,tcp:80", "10.0.0.0/8,eth wildcard",
// "web" of a list.
[[nodiscard]] std::string entry_word(SetKind kind, const SetEntry& entry);

struct EntryVerdict {
    std::uint8_t mark = 0;
    std::chrono::seconds timeout{};  // 0: stays
    std::string comment;
};
// After the word "ipset"; replaces what the set says of it. `mismatch` where the set
// was made without what the verdict needs.
[[nodiscard]] Result<std::string> add_command(const SetHeader& set, const EntryPlace& place,
                                              const EntryVerdict& verdict);
// As `ipset save` writes an entry that was read, for `ipset restore`. A comment that ipset would
// not take back is made plain (lib/sets/comment.h).
[[nodiscard]] std::string save_line(const SetHeader& set, const SetEntry& entry);
// Puts an entry back as it was; after the word "ipset".
[[nodiscard]] std::string restore_command(const SetHeader& set, const SetEntry& entry);

// A set whose entries can carry verdicts, expire, count and be commented. The family
// does not matter for a list.
[[nodiscard]] std::string create_command(std::string_view name, SetKind kind, sw_family family,
                                         std::uint32_t most = set_entries_most);

// 1 to 31 characters that stand in a command as they are.
[[nodiscard]] Result<void> check_set_name(std::string_view name);

}  // namespace synward
