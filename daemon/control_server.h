// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket: a Unix stream socket with one JSON object a line.
//
//   -> {"command": "status"}
//   <- {"ok": true, "result": {...}}
//   -> {"command": "mode", "service": "web", "mode": "cookie"}
//   <- {"ok": false, "error": {"code": "missing", "message": "..."}}
//   -> {"command": "events"}
//   <- {"ok": true, "result": {}}
//   <- {"event": {...}}        and so on, until the client closes
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "daemon/control_connection.h"
#include "daemon/event_loop.h"

namespace synward {

class ControlServer {
  public:
    // Answers one request: the result, or an error. "events" is the server's own.
    using Handler = std::function<Result<nlohmann::json>(const nlohmann::json& request)>;
    static constexpr std::size_t most_clients = 32;

    // Binds `path` with mode 0600, taking over a socket that a dead daemon left.
    // Code `busy` when another daemon answers there. The loop must outlive the server.
    [[nodiscard]] static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop,
                                                                       const std::string& path,
                                                                       Handler handler);
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;
    ~ControlServer();  // removes the socket

    // To every client that asked for events.
    void publish(const nlohmann::json& event);
    [[nodiscard]] bool has_subscribers() const;

  private:
    ControlServer(EventLoop& loop, std::string path, Descriptor socket, Handler handler)
        : loop_(&loop), path_(std::move(path)), socket_(std::move(socket)), handler_(std::move(handler)) {}
    void accept();
    void request(ControlConnection& connection, std::string_view line);

    EventLoop* loop_;
    std::string path_;
    Descriptor socket_;
    Handler handler_;
    EventLoop::Watch watch_ = 0;
    std::list<ControlConnection> connections_;  // oldest first
};

}  // namespace synward
