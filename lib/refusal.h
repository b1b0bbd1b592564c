// SPDX-License-Identifier: GPL-2.0-or-later
// A program that the kernel does not load: whose fault it is, in one line.
#pragma once

#include <string>
#include <string_view>

#include "lib/result.h"

namespace synward {

// What decided, of everything that libbpf printed: the verifier's last words, or else
// libbpf's last ones; at most 200 characters, empty if there are none. Pure.
[[nodiscard]] std::string last_words(std::string_view log);

// For the errno with which loading ended. Code `privilege` where capabilities are missing
// (the verifier's usual refusal is EACCES too), `system` where memory is, else `unsupported`.
// `what`: "the program 'x' of FILE".
[[nodiscard]] tl::unexpected<Error> fail_load(int error, std::string_view what, std::string_view log);

}  // namespace synward
