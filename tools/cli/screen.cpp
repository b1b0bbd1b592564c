// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <sstream>

namespace synward::cli {
namespace {

volatile std::sig_atomic_t ended = 0;

void end(int) {
    ended = 1;
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = end;  // without SA_RESTART: poll() returns
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

bool wait_for_key(std::chrono::milliseconds time, bool keyboard) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (!ended) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) return true;
        pollfd input{.fd = STDIN_FILENO, .events = POLLIN};
        if (poll(&input, keyboard ? 1 : 0, static_cast<int>(left.count())) <= 0) continue;
        char key = 0;
        const ssize_t got = read(STDIN_FILENO, &key, 1);
        if (got == 1 && (key == 'q' || key == 'Q')) return false;
        if (got == 0 || (got < 0 && errno != EINTR)) return false;
    }
    return false;
}

}  // namespace

Screen::Screen() {
    catch_signals();
    keyboard_ = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keyboard_) {
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    fmt::print("\033[?1049h\033[?25l");
}

Screen::~Screen() {
    fmt::print("\033[?25h\033[?1049l");
    std::fflush(stdout);
    if (keyboard_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Screen::draw(const std::string& text) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row) size.ws_row = 24;
    std::istringstream lines(text);
    std::string out = "\033[H";
    unsigned rows = 0;
    // The last row stays free: a newline there would scroll.
    for (std::string line; rows + 1 < size.ws_row && std::getline(lines, line); rows++)
        out += line + "\033[K\n";
    fmt::print("{}\033[J", out);
    std::fflush(stdout);
}

bool Screen::wait(std::chrono::milliseconds time) {
    return wait_for_key(time, keyboard_);
}

bool wait_quietly(std::chrono::milliseconds time) {
    catch_signals();
    return wait_for_key(time, false);
}

}  // namespace synward::cli
