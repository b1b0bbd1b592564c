// SPDX-License-Identifier: GPL-2.0-or-later
// Signals as events of the loop.
#pragma once

#include <functional>

#include "daemon/event_loop.h"

namespace synward {

class Signals {
  public:
    // Blocks SIGHUP, SIGINT and SIGTERM for the process and reports them here.
    // SIGPIPE is ignored. Call before any thread starts.
    [[nodiscard]] static Result<Signals> create(EventLoop& loop, std::function<void(int signal)> received);
    Signals(Signals&& other) noexcept
        : loop_(other.loop_), fd_(std::move(other.fd_)), watch_(std::exchange(other.watch_, 0)) {}
    Signals& operator=(Signals&&) = delete;
    ~Signals();

  private:
    Signals(EventLoop& loop, Descriptor fd, EventLoop::Watch watch)
        : loop_(&loop), fd_(std::move(fd)), watch_(watch) {}
    EventLoop* loop_;
    Descriptor fd_;
    EventLoop::Watch watch_;
};

}  // namespace synward
