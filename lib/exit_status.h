// SPDX-License-Identifier: GPL-2.0-or-later
// The exit statuses of synward and synwardd: the only place where they are
// written down. Help texts and manual pages show this table.
#pragma once

#include <string>

#include "lib/result.h"

namespace synward {

// X(NAME, value, "meaning")
#define SYNWARD_EXIT_STATUSES(X)                                       \
    X(done, 0, "done")                                                 \
    X(failed, 1, "failed; the message says what to do")                \
    X(usage, 2, "wrong arguments, or a mistake in the config file")    \
    X(missing, 3, "not loaded, or no such interface, service or file") \
    X(privilege, 4, "not privileged: run it as root")                  \
    X(unsupported, 5, "the kernel or the driver lacks a feature")

enum class ExitStatus {
#define X(NAME, value, text) NAME = value,
    SYNWARD_EXIT_STATUSES(X)
#undef X
};

[[nodiscard]] constexpr int exit_status(ErrorCode code) {
    switch (code) {
        case ErrorCode::usage:
        case ErrorCode::config:
            return static_cast<int>(ExitStatus::usage);
        case ErrorCode::missing:
            return static_cast<int>(ExitStatus::missing);
        case ErrorCode::privilege:
            return static_cast<int>(ExitStatus::privilege);
        case ErrorCode::unsupported:
            return static_cast<int>(ExitStatus::unsupported);
        case ErrorCode::system:
        case ErrorCode::busy:
        case ErrorCode::mismatch:
            break;
    }
    return static_cast<int>(ExitStatus::failed);
}

// The category as one word, for JSON.
[[nodiscard]] constexpr std::string_view error_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::system:
            return "system";
        case ErrorCode::usage:
            return "usage";
        case ErrorCode::config:
            return "config";
        case ErrorCode::privilege:
            return "privilege";
        case ErrorCode::busy:
            return "busy";
        case ErrorCode::unsupported:
            return "unsupported";
        case ErrorCode::missing:
            return "missing";
        case ErrorCode::mismatch:
            return "mismatch";
    }
    return "system";
}

// For the end of a help text.
[[nodiscard]] inline std::string exit_status_text() {
    std::string text = "Exit status:";
#define X(NAME, value, meaning) text += "\n  " #value "  " meaning;
    SYNWARD_EXIT_STATUSES(X)
#undef X
    return text;
}

}  // namespace synward
