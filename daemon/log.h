// SPDX-License-Identifier: GPL-2.0-or-later
// Where the daemon's messages go.
#pragma once

#include <cstdint>
#include <string>

namespace synward {

// To stderr: with time and colours on a terminal, with `<N>` priorities where
// stderr is the journal, with time alone elsewhere.
void start_log();

// trace, debug, info, warn, error
void set_log_level(const std::string& level);

// An error whose message may have several lines: one log line each.
void log_error(const std::string& message);

// Few lines of a kind a second, however many there are to tell.
class LineLimit {
  public:
    // `now`: ns, CLOCK_MONOTONIC.
    bool may_tell(std::uint64_t now) {
        if (now - since_ >= 1'000'000'000) {
            since_ = now;
            told_ = 0;
        }
        return told_++ < 10;
    }

  private:
    std::uint64_t since_ = 0;
    std::uint64_t told_ = 0;
};

}  // namespace synward
