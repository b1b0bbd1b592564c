// SPDX-License-Identifier: GPL-2.0-or-later
#include "connector.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>

namespace synward::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const Address& address, uint16_t port) {
    SocketAddress result;
    if (address.family == SW_IPV4) {
        auto* to = reinterpret_cast<sockaddr_in*>(&result.storage);
        to->sin_family = AF_INET;
        to->sin_port = htons(port);
        memcpy(&to->sin_addr, address.bytes.data(), 4);
        result.size = sizeof(*to);
    } else {
        auto* to = reinterpret_cast<sockaddr_in6*>(&result.storage);
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(port);
        memcpy(&to->sin6_addr, address.bytes.data(), 16);
        result.size = sizeof(*to);
    }
    return result;
}

Percentiles percentiles(std::vector<float>& milliseconds) {
    if (milliseconds.empty()) return {};
    std::sort(milliseconds.begin(), milliseconds.end());
    const auto at = [&](double part) {
        const auto index = static_cast<size_t>(part * static_cast<double>(milliseconds.size()));
        return static_cast<double>(milliseconds[std::min(index, milliseconds.size() - 1)]);
    };
    return {at(0.5), at(0.9), at(0.99), milliseconds.back()};
}

struct Connection {
    Fd socket;
    Clock::time_point start;
    bool established = false;
    bool done = false;
};

class Client {
  public:
    explicit Client(const ConnectOptions& options)
        : options_(options),
          to_(socket_address(options.to, options.port)),
          epoll_(epoll_create1(EPOLL_CLOEXEC)) {
        for (const auto& address : options.from) from_.push_back(socket_address(address, 0));
        if (!epoll_) throw std::runtime_error(fmt::format("epoll_create1: {}", strerror(errno)));
    }

    ConnectReport run() {
        const auto start = Clock::now();
        const auto end = start + std::chrono::duration<double>(options_.seconds);
        while (Clock::now() < end) {
            open_due(start);
            wait(1);
        }
        report_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
        while (!order_.empty()) wait(20);
        report_.connect = percentiles(connect_times_);
        report_.answer = percentiles(answer_times_);
        return report_;
    }

  private:
    void open_due(Clock::time_point start) {
        uint64_t due = UINT64_MAX;
        if (options_.rate > 0)
            due = static_cast<uint64_t>(std::chrono::duration<double>(Clock::now() - start).count() *
                                        options_.rate);
        while (turn_ < due && outstanding_ < options_.outstanding) {
            ++turn_;
            open();
        }
        if (options_.rate > 0 && turn_ < due) {  // an open loop does not wait for the slow
            report_.skipped += due - turn_;
            turn_ = due;
        }
    }

    void open() {
        auto connection = std::make_unique<Connection>();
        connection->socket = Fd(socket(to_.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const int fd = connection->socket.get();
        if (fd < 0)
            throw std::runtime_error(
                fmt::format("socket: {}; raise 'ulimit -n' or lower --outstanding", strerror(errno)));
        if (!from_.empty()) {
            const int on = 1;
            const auto& from = from_[turn_ % from_.size()];
            // the port is chosen at connect(), by the whole 4-tuple
            (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
            if (bind(fd, from.get(), from.size) != 0)
                throw std::runtime_error(fmt::format("cannot bind to a client address: {}", strerror(errno)));
        }
        ++report_.started;
        connection->start = Clock::now();
        if (connect(fd, to_.get(), to_.size) != 0 && errno != EINPROGRESS) {
            ++report_.failed;
            return;
        }
        epoll_event event{.events = EPOLLOUT | EPOLLIN | EPOLLET | EPOLLRDHUP,
                          .data = {.ptr = connection.get()}};
        if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
            throw std::runtime_error(fmt::format("epoll_ctl: {}", strerror(errno)));
        ++outstanding_;
        order_.push_back(std::move(connection));
    }

    void wait(int milliseconds) {
        epoll_event events[256];
        const int count = epoll_wait(epoll_.get(), events, 256, milliseconds);
        for (int i = 0; i < count; ++i)
            handle(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
        // the oldest comes first, so that its deadline does too
        const auto late = Clock::now() - std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(options_.timeout));
        while (!order_.empty() && (order_.front()->done || order_.front()->start < late)) {
            if (!order_.front()->done) finish(*order_.front(), report_.timed_out);
            order_.pop_front();
        }
    }

    void finish(Connection& connection, uint64_t& counter) {
        ++counter;
        --outstanding_;
        connection.done = true;
        connection.socket = Fd();
    }

    void handle(Connection& connection, uint32_t events) {
        if (connection.done) return;
        const int fd = connection.socket.get();
        const auto elapsed = [&] {
            return std::chrono::duration<float, std::milli>(Clock::now() - connection.start).count();
        };
        if (!connection.established) {
            int error = 0;
            socklen_t size = sizeof(error);
            if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
                return finish(connection, error == ECONNREFUSED || error == ECONNRESET ? report_.refused
                                          : error == ETIMEDOUT                         ? report_.timed_out
                                                                                       : report_.failed);
            if (!(events & EPOLLOUT)) return;
            connection.established = true;
            ++report_.connected;
            connect_times_.push_back(elapsed());
            if (options_.probe == Probe::kNone) {
                answer_times_.push_back(elapsed());
                return finish(connection, report_.answered);
            }
            const std::string_view request =
                options_.probe == Probe::kHttp ? "GET / HTTP/1.0\r\nHost: synward\r\n\r\n" : "?";
            (void)send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        }
        if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))) return;
        char byte;
        const auto got = recv(fd, &byte, 1, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0)
            return finish(connection, got < 0 && errno == ECONNRESET ? report_.refused : report_.failed);
        answer_times_.push_back(elapsed());
        finish(connection, report_.answered);
    }

    const ConnectOptions& options_;
    SocketAddress to_;
    std::vector<SocketAddress> from_;
    Fd epoll_;
    std::deque<std::unique_ptr<Connection>> order_;  // by start
    unsigned outstanding_ = 0;
    uint64_t turn_ = 0;
    std::vector<float> connect_times_, answer_times_;
    ConnectReport report_;
};

}  // namespace

ConnectReport run_connections(const ConnectOptions& options) {
    return Client(options).run();
}

void respond(const Fd& listener, std::stop_token stop) {
    const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {.fd = listener.get()}};
    if (!epoll || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listener.get(), &event) != 0)
        throw std::runtime_error(fmt::format("epoll: {}", strerror(errno)));
    while (!stop.stop_requested()) {
        epoll_event events[256];
        const int count = epoll_wait(epoll.get(), events, 256, 50);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (fd == listener.get()) {
                for (int client;
                     (client = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
                    epoll_event add{.events = EPOLLIN | EPOLLRDHUP, .data = {.fd = client}};
                    if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, client, &add) != 0) close(client);
                }
                continue;
            }
            char buffer[256];
            const auto got = recv(fd, buffer, sizeof(buffer), 0);
            if (got > 0)
                (void)send(fd, "!", 1, MSG_NOSIGNAL);
            else if (got == 0 || errno != EAGAIN)
                close(fd);  // the client closes first, so that TIME_WAIT is on its side
        }
    }
}

}  // namespace synward::bench
