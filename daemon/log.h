// SPDX-License-Identifier: GPL-2.0-or-later
// Where the daemon's messages go.
#pragma once

#include <string>

namespace synward {

// To stderr: with time and colours on a terminal, with `<N>` priorities where
// stderr is the journal, with time alone elsewhere.
void start_log();

// trace, debug, info, warn, error
void set_log_level(const std::string& level);

// An error whose message may have several lines: one log line each.
void log_error(const std::string& message);

}  // namespace synward
