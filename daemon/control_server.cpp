// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control_server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "lib/exit_status.h"

namespace synward {
namespace {

using nlohmann::json;

std::string line_of(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json error_answer(const Error& error) {
    return {{"ok", false}, {"error", {{"code", error_name(error.code)}, {"message", error.message}}}};
}

Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
    struct stat status;
    if (lstat(path.c_str(), &status)) return {};
    if (!S_ISSOCK(status.st_mode))
        return fail(ErrorCode::busy,
                    fmt::format("{} is in the way of the control socket and is no socket; remove it, or set "
                                "daemon.control",
                                path));
    const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
        errno == EAGAIN)
        return fail(ErrorCode::busy,
                    fmt::format("another synwardd answers at {}; stop it, or set daemon.control", path));
    unlink(path.c_str());
    return {};
}

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::create(EventLoop& loop, const std::string& path,
                                                             Handler handler) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(ErrorCode::config, fmt::format("the path of the control socket is too long: {}", path));
    path.copy(address.sun_path, sizeof address.sun_path - 1);

    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    if (auto done = remove_stale(path, address); !done) return tl::unexpected(done.error());
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return fail_errno(errno, "cannot make the control socket");
    const mode_t before = umask(0177);
    const int bound = bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const int error = errno;
    umask(before);
    if (bound) return fail_errno(error, fmt::format("cannot bind the control socket {}", path));
    if (listen(socket.get(), 16))
        return fail_errno(errno, fmt::format("cannot listen on the control socket {}", path));

    std::unique_ptr<ControlServer> server(
        new ControlServer(loop, path, std::move(socket), std::move(handler)));
    auto watch =
        loop.watch(server->socket_.get(), EPOLLIN, [raw = server.get()](std::uint32_t) { raw->accept(); });
    if (!watch) return tl::unexpected(watch.error());
    server->watch_ = *watch;
    return server;
}

ControlServer::~ControlServer() {
    if (watch_) loop_->forget(watch_);
    unlink(path_.c_str());
}

void ControlServer::accept() {
    Descriptor client(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            spdlog::warn("control socket: cannot accept a client: {}",
                         std::generic_category().message(errno));
        return;
    }
    if (connections_.size() >= most_clients) {
        // One that asks nothing must not keep others out; one that listens may stay.
        const auto idle = std::find_if(connections_.begin(), connections_.end(),
                                       [](const ControlConnection& c) { return !c.subscribed(); });
        if (idle == connections_.end()) {
            spdlog::warn("control socket: {} clients listen already; one more was refused", most_clients);
            return;
        }
        connections_.erase(idle);
    }
    ControlConnection& connection = connections_.emplace_back(
        *loop_, std::move(client), [this](ControlConnection& c, std::string_view line) { request(c, line); },
        [this](ControlConnection& c) {
            connections_.remove_if([&](const ControlConnection& other) { return &other == &c; });
        });
    if (!connection.start()) connections_.pop_back();
}

void ControlServer::request(ControlConnection& connection, std::string_view line) {
    auto refuse = [&](std::string message) {
        connection.answer(line_of(error_answer({std::move(message), ErrorCode::usage})));
    };
    if (!line.data())
        return refuse(fmt::format("a request has at most {} bytes and ends with a newline",
                                  ControlConnection::longest_request));
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object() || !request.contains("command") || !request["command"].is_string())
        return refuse(
            "a request is one JSON object a line, with a \"command\": status, stats, events, "
            "learn, mode, rotate, reload, set or why");
    if (request["command"] == "events") {
        connection.subscribe();
        connection.answer(line_of({{"ok", true}, {"result", json::object()}}));
        return;
    }
    const auto result = handler_(request);
    connection.answer(
        line_of(result ? json{{"ok", true}, {"result", *result}} : error_answer(result.error())));
}

bool ControlServer::has_subscribers() const {
    return std::any_of(connections_.begin(), connections_.end(),
                       [](const ControlConnection& c) { return c.subscribed(); });
}

void ControlServer::publish(const json& event) {
    for (ControlConnection& connection : connections_) {
        if (!connection.subscribed()) continue;
        connection.event(line_of({{"event", event}}));
    }
}

}  // namespace synward
