// SPDX-License-Identifier: GPL-2.0-or-later
// The `ipset` command as a library: what the administrator could type, done the
// same way (libipset).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/result.h"

namespace synward {

// One session with the kernel, of the caller's network namespace at the time of
// create(). libipset is not thread-safe: all sessions of a process belong to one
// thread. Move-only.
class Ipset {
  public:
    [[nodiscard]] static Result<Ipset> create();
    Ipset(Ipset&&) noexcept;
    Ipset& operator=(Ipset&&) noexcept;
    ~Ipset();

    // One command as after the word "ipset": "add NAME 192.0.2.1 timeout 60 -exist".
    // Arguments from elsewhere must have passed is_set_word(). Returns what the
    // command prints; the error is what ipset says: `missing` for an unknown set,
    // `privilege` without CAP_NET_ADMIN, `usage` for what it does not understand.
    Result<std::string> run(std::string_view command);

  private:
    struct Impl;
    explicit Ipset(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Whether a word may stand in a command as it is: printable, no space, no quote,
// no leading dash, at most 255 bytes.
[[nodiscard]] constexpr bool is_set_word(std::string_view word) {
    if (word.empty() || word.size() > 255 || word[0] == '-') return false;
    for (const char c : word)
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\') return false;
    return true;
}

}  // namespace synward
