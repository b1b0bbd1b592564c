// SPDX-License-Identifier: GPL-2.0-or-later
// Waits on descriptors and calls their handlers: the daemon's only thread.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

class EventLoop {
  public:
    using Handler = std::function<void(std::uint32_t events)>;  // EPOLL*
    using Watch = std::uint64_t;                                // 0 is none

    [[nodiscard]] static Result<EventLoop> create();

    // `fd` stays the caller's, who forgets the watch before closing it.
    [[nodiscard]] Result<Watch> watch(int fd, std::uint32_t events, Handler handler);
    void change(Watch watch, std::uint32_t events);
    // Also from within a handler, its own included.
    void forget(Watch watch);

    // Until stop().
    Result<void> run();
    void stop() { stopped_ = true; }

  private:
    struct Watched {
        int fd;
        Handler handler;
    };
    explicit EventLoop(Descriptor epoll) : epoll_(std::move(epoll)) {}

    Descriptor epoll_;
    // By number, not by descriptor: a descriptor that was closed and opened again
    // within one batch of events must not get its predecessor's.
    std::unordered_map<Watch, Watched> watched_;
    Watch last_ = 0;
    bool stopped_ = false;
};

}  // namespace synward
