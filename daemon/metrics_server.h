// SPDX-License-Identifier: GPL-2.0-or-later
// Answers Prometheus at http://[metrics] listen/metrics, within the event loop: libmicrohttpd
// does HTTP, and has no thread of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "daemon/event_loop.h"
#include "daemon/timer.h"
#include "lib/config.h"

struct MHD_Connection;
struct MHD_Daemon;

namespace synward {

class MetricsServer {
  public:
    // What is answered: Prometheus' text format.
    using Collect = std::function<Result<std::string>()>;
    // Where every place is taken, the client who has waited for longest makes room.
    struct Limits {
        unsigned clients = 16;
        unsigned of_one_source = 8;  // of them; a source may be a proxy, or this machine
        // From connecting to the end of the request, however slowly that comes.
        std::chrono::milliseconds ask{10'000};
        std::chrono::milliseconds take{10'000};  // the answer
        // From an answer to the end of the next request: Prometheus keeps its connection.
        std::chrono::milliseconds idle{300'000};
    };
    // Whoever asks again sooner gets the same: to collect takes time of the control thread.
    static constexpr std::chrono::milliseconds fresh{500};

    // The loop must outlive the server. Code `busy` where something listens there. An
    // address need not be there yet.
    [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop,
                                                                       const Endpoint& listen,
                                                                       Collect collect, const Limits& limits);
    [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> create(EventLoop& loop,
                                                                       const Endpoint& listen,
                                                                       Collect collect) {
        return create(loop, listen, std::move(collect), Limits());
    }
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;
    ~MetricsServer();

    [[nodiscard]] const Endpoint& listen() const { return listen_; }

  private:
    using Clock = std::chrono::steady_clock;
    struct Http;
    struct Client {
        int fd;
        Clock::time_point since;  // it connected, or the last thing it did was done
        Clock::time_point until;
        bool leaving = false;  // only libmicrohttpd has to notice
    };
    MetricsServer(EventLoop& loop, const Endpoint& listen, Collect collect, const Limits& limits)
        : loop_(&loop), listen_(listen), limits_(limits), collect_(std::move(collect)) {}
    void work();
    void let_go();
    void expect(MHD_Connection* connection, std::chrono::milliseconds within);
    Result<std::string> text();

    EventLoop* loop_;
    Endpoint listen_;
    Limits limits_;
    std::optional<Timer> timer_;
    std::chrono::milliseconds interval_{0};  // of the timer
    Collect collect_;
    MHD_Daemon* http_ = nullptr;
    EventLoop::Watch watch_ = 0;
    std::map<MHD_Connection*, Client> clients_;
    std::uint64_t left_ = 0;  // so many have
    std::string text_;
    Clock::time_point collected_{};
};

}  // namespace synward
