// SPDX-License-Identifier: GPL-2.0-or-later
// Reports interfaces that appear, change or go, and addresses that become local or cease
// to be, by rtnetlink.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/event_loop.h"
#include "daemon/timer.h"

struct mnl_socket;

namespace synward {

class LinkMonitor {
  public:
    // `changed` gets the interface's name; an empty one means that events were
    // lost and any interface may have changed.
    using Changed = std::function<void(const std::string& name)>;
    // `settled`: links, addresses or local routes changed; once for all that changed within
    // `calm` of the first.
    using Settled = std::function<void()>;
    static constexpr std::chrono::milliseconds calm{50};
    [[nodiscard]] static Result<std::unique_ptr<LinkMonitor>> create(EventLoop& loop, Changed changed,
                                                                     Settled settled);
    LinkMonitor(const LinkMonitor&) = delete;
    LinkMonitor& operator=(const LinkMonitor&) = delete;
    ~LinkMonitor();

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };
    using Socket = std::unique_ptr<mnl_socket, Close>;
    LinkMonitor(EventLoop& loop, Socket socket, Changed changed)
        : loop_(loop), socket_(std::move(socket)), changed_(std::move(changed)) {}
    void read();

    EventLoop& loop_;
    Socket socket_;
    Changed changed_;
    std::optional<Timer> timer_;
    EventLoop::Watch watch_ = 0;
    bool waits_ = false;  // the timer runs
};

}  // namespace synward
