// SPDX-License-Identifier: GPL-2.0-or-later
// Reports interfaces that appear, change or go, by rtnetlink.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "daemon/event_loop.h"

struct mnl_socket;

namespace synward {

class LinkMonitor {
  public:
    // `changed` gets the interface's name; an empty one means that events were
    // lost and any interface may have changed.
    using Changed = std::function<void(const std::string& name)>;
    [[nodiscard]] static Result<LinkMonitor> create(EventLoop& loop, Changed changed);
    LinkMonitor(LinkMonitor&& other) noexcept
        : loop_(other.loop_), socket_(std::move(other.socket_)), watch_(std::exchange(other.watch_, 0)) {}
    LinkMonitor& operator=(LinkMonitor&&) = delete;
    ~LinkMonitor();

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };
    using Socket = std::unique_ptr<mnl_socket, Close>;
    LinkMonitor(EventLoop& loop, Socket socket, EventLoop::Watch watch)
        : loop_(&loop), socket_(std::move(socket)), watch_(watch) {}
    EventLoop* loop_;
    Socket socket_;
    EventLoop::Watch watch_;
};

}  // namespace synward
