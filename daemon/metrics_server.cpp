// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/metrics_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

namespace synward {
namespace {

constexpr const char* text_format = "text/plain; version=0.0.4; charset=utf-8";

Result<Descriptor> listening_socket(const Endpoint& at, unsigned clients) {
    const bool ipv4 = at.address.family == SW_IPV4;
    sockaddr_storage address{};
    socklen_t length = sizeof(sockaddr_in);
    if (ipv4) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(address);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(at.port);
        std::memcpy(&v4.sin_addr, at.address.bytes.data(), sizeof v4.sin_addr);
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(at.port);
        std::memcpy(&v6.sin6_addr, at.address.bytes.data(), sizeof v6.sin6_addr);
        length = sizeof(sockaddr_in6);
    }
    Descriptor fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int yes = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    // The daemon starts before the network does.
    if (ipv4) {
        setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &yes, sizeof yes);
    } else {
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &yes, sizeof yes);
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    }
    if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
        ::listen(fd.get(), static_cast<int>(clients)) == 0)
        return fd;
    if (errno == EADDRINUSE)
        return fail(
            ErrorCode::busy,
            fmt::format("metrics.listen: something else listens at {}; choose another port", at.to_string()));
    return fail_errno(errno, fmt::format("metrics.listen: cannot listen at {}", at.to_string()));
}

}  // namespace

// What libmicrohttpd calls.
struct MetricsServer::Http {
    // First with the headers, then with each part of a body, then once more.
    static MHD_Result answer(void* server, MHD_Connection* connection, const char* url, const char* method,
                             const char*, const char*, std::size_t* upload, void** seen) {
        const std::string_view verb = method;
        if (verb != MHD_HTTP_METHOD_GET && verb != MHD_HTTP_METHOD_HEAD) {
            // At once, which ends the connection: nobody wants to read the body.
            if (!*seen) return send(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
            return MHD_NO;
        }
        // A body is of no interest. To answer the first call would end the connection too.
        if (!*seen || *upload) {
            *seen = server;
            *upload = 0;
            return MHD_YES;
        }
        const auto self = static_cast<MetricsServer*>(server);
        self->expect(connection, self->limits_.take);
        if (std::string_view(url) != "/metrics")
            return send(connection, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
        const auto text = self->text();
        if (!text) return send(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, text.error().message + '\n');
        return send(connection, MHD_HTTP_OK, *text);
    }

    static MHD_Result send(MHD_Connection* connection, unsigned status, std::string body) {
        MHD_Response* response =
            MHD_create_response_from_buffer(body.size(), body.data(), MHD_RESPMEM_MUST_COPY);
        if (!response) return MHD_NO;
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, text_format);
        const MHD_Result queued = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
        return queued;
    }

    static void connected(void* server, MHD_Connection* connection, void**,
                          MHD_ConnectionNotificationCode code) {
        const auto self = static_cast<MetricsServer*>(server);
        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
            self->clients_.erase(connection);
            self->left_++;
            return;
        }
        const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (!info) return;
        self->clients_[connection].fd = info->connect_fd;
        self->expect(connection, self->limits_.ask);
    }

    static void answered(void* server, MHD_Connection* connection, void**, MHD_RequestTerminationCode) {
        const auto self = static_cast<MetricsServer*>(server);
        self->expect(connection, self->limits_.idle);
    }
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::create(EventLoop& loop, const Endpoint& listen,
                                                             Collect collect, const Limits& limits) {
    auto socket = listening_socket(listen, limits.clients);
    if (!socket) return tl::unexpected(socket.error());
    std::unique_ptr<MetricsServer> server(new MetricsServer(loop, listen, std::move(collect), limits));
    auto timer = Timer::create(loop, [self = server.get()] { self->work(); });
    if (!timer) return tl::unexpected(timer.error());
    server->timer_.emplace(std::move(*timer));
    // It closes the socket that it is given. Its own timeout begins anew with each byte, so that
    // whoever sends one now and then would stay: let_go() has deadlines instead.
    server->http_ =
        MHD_start_daemon(MHD_USE_EPOLL, 0, nullptr, nullptr, &Http::answer, server.get(),
                         MHD_OPTION_LISTEN_SOCKET, fcntl(socket->get(), F_DUPFD_CLOEXEC, 0),
                         MHD_OPTION_CONNECTION_LIMIT, limits.clients, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                         limits.of_one_source, MHD_OPTION_NOTIFY_CONNECTION, &Http::connected, server.get(),
                         MHD_OPTION_NOTIFY_COMPLETED, &Http::answered, server.get(), MHD_OPTION_END);
    const MHD_DaemonInfo* info =
        server->http_ ? MHD_get_daemon_info(server->http_, MHD_DAEMON_INFO_EPOLL_FD) : nullptr;
    if (!info)
        return fail(ErrorCode::system, fmt::format("metrics.listen: cannot serve at {}", listen.to_string()));
    auto watch = loop.watch(info->epoll_fd, EPOLLIN, [self = server.get()](std::uint32_t) { self->work(); });
    if (!watch) return tl::unexpected(watch.error());
    server->watch_ = *watch;
    return server;
}

MetricsServer::~MetricsServer() {
    if (watch_) loop_->forget(watch_);
    if (http_) MHD_stop_daemon(http_);
}

Result<std::string> MetricsServer::text() {
    const auto now = std::chrono::steady_clock::now();
    if (text_.empty() || now - collected_ >= fresh) {
        auto collected = collect_();
        if (!collected) return collected;
        text_ = std::move(*collected);
        collected_ = now;
    }
    return text_;
}

// What the client does next has to be done within that time.
void MetricsServer::expect(MHD_Connection* connection, std::chrono::milliseconds within) {
    const auto client = clients_.find(connection);
    if (client == clients_.end()) return;
    client->second.since = Clock::now();
    client->second.until = client->second.since + within;
}

void MetricsServer::work() {
    // Whatever can be done without waiting; a client may not hold the loop for ever.
    bool listening = false, more = true;
    for (int turns = 0; turns < 64 && (more || !listening); turns++) {
        // With no place or no descriptor left libmicrohttpd stops listening; at the beginning of the
        // run after somebody left it listens again.
        listening = clients_.size() < limits_.clients;
        const std::uint64_t left = left_;
        MHD_run(http_);
        listening &= left == left_;
        let_go();
        unsigned MHD_LONG_LONG wait = 0;
        more = MHD_get_timeout(http_, &wait) == MHD_YES && wait == 0;
    }
    using namespace std::chrono_literals;
    const auto interval = more || !listening ? 10ms : clients_.empty() ? 0ms : 1000ms;
    if (interval != interval_) timer_->every(interval);
    interval_ = interval;
}

// Whose time is over; and where there is no place left, the one who has waited for longest.
void MetricsServer::let_go() {
    const auto leave = [](Client& client) {
        // libmicrohttpd owns the descriptor, and closes it when it sees that.
        shutdown(client.fd, SHUT_RDWR);
        client.leaving = true;
    };
    const auto now = Clock::now();
    Client* oldest = nullptr;
    bool room = clients_.size() < limits_.clients;
    for (auto& [connection, client] : clients_) {
        if (!client.leaving && now >= client.until) leave(client);
        room |= client.leaving;
        if (!oldest || client.since < oldest->since) oldest = &client;
    }
    if (!room && oldest) leave(*oldest);
}

}  // namespace synward
