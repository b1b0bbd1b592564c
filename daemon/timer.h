// SPDX-License-Identifier: GPL-2.0-or-later
// A periodic timer of the event loop.
#pragma once

#include <chrono>
#include <functional>

#include "daemon/event_loop.h"

namespace synward {

class Timer {
  public:
    // The loop must outlive the timer.
    [[nodiscard]] static Result<Timer> create(EventLoop& loop, std::function<void()> expired);
    Timer(Timer&& other) noexcept
        : loop_(other.loop_), fd_(std::move(other.fd_)), watch_(std::exchange(other.watch_, 0)) {}
    Timer& operator=(Timer&&) = delete;
    ~Timer();

    // The first time after one interval; 0 stops it.
    void every(std::chrono::milliseconds interval);

  private:
    Timer(EventLoop& loop, Descriptor fd, EventLoop::Watch watch)
        : loop_(&loop), fd_(std::move(fd)), watch_(watch) {}
    EventLoop* loop_;
    Descriptor fd_;
    EventLoop::Watch watch_;
};

}  // namespace synward
