// SPDX-License-Identifier: GPL-2.0-or-later
// A terminal that is drawn again and again.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>

namespace synward::cli {

// Takes the terminal's second screen, without echo and cursor, and gives it back
// at the end, also after SIGINT and SIGTERM. One at a time.
class Screen {
  public:
    Screen();
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen();

    // Lines that do not fit are cut off.
    void draw(const std::string& text);
    // False when `q` was pressed or a signal asked to end.
    [[nodiscard]] bool wait(std::chrono::milliseconds time);

  private:
    termios before_{};
    bool keyboard_ = false;
};

// As Screen::wait(), without a terminal: only signals end it.
[[nodiscard]] bool wait_quietly(std::chrono::milliseconds time);

}  // namespace synward::cli
