// SPDX-License-Identifier: GPL-2.0-or-later
// One client of the control socket: lines in, lines out, never blocking.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "daemon/event_loop.h"

namespace synward {

class ControlConnection {
  public:
    static constexpr std::size_t longest_request = 64 * 1024;
    // A subscriber that reads too slowly loses events beyond this.
    static constexpr std::size_t most_unsent = 1024 * 1024;

    using Request = std::function<void(ControlConnection&, std::string_view line)>;
    using Closed = std::function<void(ControlConnection&)>;

    // `closed` may destroy the connection; nothing of it is used afterwards.
    ControlConnection(EventLoop& loop, Descriptor socket, Request request, Closed closed);
    ControlConnection(const ControlConnection&) = delete;
    ControlConnection& operator=(const ControlConnection&) = delete;
    ~ControlConnection();

    // Watches the socket; call once.
    Result<void> start();

    // Adds a newline.
    void answer(std::string_view line);
    // As answer(), but dropped and counted when the client does not keep up; {"missed": N}
    // stands in the place of N events.
    void event(std::string_view line);
    void subscribe() { subscribed_ = true; }
    [[nodiscard]] bool subscribed() const { return subscribed_; }
    // No more requests; closes when everything is sent.
    void finish() { ended_ = true; }

  private:
    void handle(std::uint32_t events);
    bool receive();  // false: closed by the client or broken
    bool flush();    // false: broken
    void next_lines();
    void tell_missed();

    EventLoop* loop_;
    Descriptor socket_;
    Request request_;
    Closed closed_;
    EventLoop::Watch watch_ = 0;
    std::string in_;
    std::string out_;
    std::uint64_t missed_ = 0;
    bool subscribed_ = false;
    bool ended_ = false;
};

}  // namespace synward
