// SPDX-License-Identifier: GPL-2.0-or-later
// How the library reports what went wrong. No function of it throws on purpose;
// only memory exhaustion does.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace synward {

// Categories of failure. lib/exit_status.h says which exit status each becomes.
enum class ErrorCode {
    system = 1,       // a system call or the kernel failed in a way nobody foresaw
    usage = 2,        // wrong arguments
    config = 3,       // the config file is wrong
    privilege = 4,    // root or CAP_BPF, CAP_NET_ADMIN is missing
    busy = 5,         // somebody else's program holds the hook
    unsupported = 6,  // the kernel or the driver lacks something
    missing = 7,      // no such interface, service, object file; synward is not loaded
    mismatch = 8,     // the program in the kernel speaks another version of the ABI
};

struct Error {
    std::string message;  // what happened, to what, and what to do; may have several lines
    ErrorCode code = ErrorCode::system;
};

template <typename T>
using Result = tl::expected<T, Error>;

// For `return fail(ErrorCode::missing, "...")`.
[[nodiscard]] inline tl::unexpected<Error> fail(ErrorCode code, std::string message) {
    return tl::unexpected<Error>(Error{std::move(message), code});
}

// "WHAT: strerror(ERRNO)"; EPERM becomes `privilege`, and EACCES where capabilities are missing;
// ENODEV and ENOENT become `missing`.
[[nodiscard]] tl::unexpected<Error> fail_errno(int error, std::string_view what);

}  // namespace synward
