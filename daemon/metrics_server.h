// SPDX-License-Identifier: GPL-2.0-or-later
// Answers Prometheus at http://[metrics] listen/metrics, within the event loop: libmicrohttpd
// does HTTP, and has no thread of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/event_loop.h"
#include "daemon/timer.h"
#include "lib/config.h"

struct MHD_Daemon;

namespace synward {

class MetricsServer {
  public:
    // What is answered: Prometheus' text format.
    using Collect = std::function<Result<std::string>()>;
    static constexpr unsigned most_clients = 16;
    static constexpr unsigned client_seconds = 10;  // one that says nothing is let go
    // Whoever asks again sooner gets the same: to collect takes time of the control thread.
    static constexpr std::chrono::milliseconds fresh{500};

    // The loop must outlive the server. Code `busy` where something listens there. An
    // address need not be there yet.
    [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop,
                                                                       const Endpoint& listen,
                                                                       Collect collect);
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;
    ~MetricsServer();

    [[nodiscard]] const Endpoint& listen() const { return listen_; }

  private:
    struct Http;
    MetricsServer(EventLoop& loop, const Endpoint& listen, Collect collect)
        : loop_(&loop), listen_(listen), collect_(std::move(collect)) {}
    void work();
    Result<std::string> text();

    EventLoop* loop_;
    Endpoint listen_;
    std::optional<Timer> timer_;  // runs while there are clients, who may have to be let go
    Collect collect_;
    MHD_Daemon* http_ = nullptr;
    EventLoop::Watch watch_ = 0;
    bool clients_ = false;
    std::string text_;
    std::chrono::steady_clock::time_point collected_{};
};

}  // namespace synward
