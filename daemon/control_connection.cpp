// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/control_connection.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace synward {

ControlConnection::ControlConnection(EventLoop& loop, Descriptor socket, Request request, Closed closed)
    : loop_(&loop), socket_(std::move(socket)), request_(std::move(request)), closed_(std::move(closed)) {}

ControlConnection::~ControlConnection() {
    if (watch_) loop_->forget(watch_);
}

Result<void> ControlConnection::start() {
    auto watch = loop_->watch(socket_.get(), EPOLLIN, [this](std::uint32_t events) { handle(events); });
    if (!watch) return tl::unexpected(watch.error());
    watch_ = *watch;
    return {};
}

void ControlConnection::answer(std::string_view line) {
    out_.append(line);
    out_ += '\n';
}

void ControlConnection::event(std::string_view line) {
    tell_missed();
    if (missed_ || out_.size() + line.size() > most_unsent) {
        missed_++;
        return;
    }
    answer(line);
    // What cannot be sent now waits for EPOLLOUT; a broken client is noticed there.
    flush();
    loop_->change(watch_, EPOLLIN | (out_.empty() ? 0u : EPOLLOUT));
}

// Where the gap is, and once for many: only when the client has caught up by half.
void ControlConnection::tell_missed() {
    if (!missed_ || out_.size() > most_unsent / 2) return;
    answer(fmt::format(R"({{"missed":{}}})", missed_));
    missed_ = 0;
}

// Answers wait in memory, so a client that only writes is not read further.
void ControlConnection::next_lines() {
    while (!ended_ && out_.size() < most_unsent) {
        const std::size_t end = in_.find('\n');
        if (end == in_.npos) return;
        const std::string line = in_.substr(0, end);
        in_.erase(0, end + 1);
        request_(*this, line);
    }
}

bool ControlConnection::receive() {
    std::array<char, 16384> buffer;
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) {
        // The client may have closed only its own direction and still wait for answers.
        if (!subscribed_) ended_ = true;
        return !subscribed_;
    }
    in_.append(buffer.data(), static_cast<std::size_t>(got));
    next_lines();
    if (in_.size() > longest_request && in_.find('\n') == in_.npos) {
        in_.clear();
        // The owner says what is wrong with an empty line of nothing.
        request_(*this, std::string_view(nullptr, 0));
        ended_ = true;
    }
    return true;
}

bool ControlConnection::flush() {
    std::size_t sent = 0;
    while (sent < out_.size()) {
        const ssize_t put =
            send(socket_.get(), out_.data() + sent, out_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno != EAGAIN) return false;
        if (put < 0) break;
        sent += static_cast<std::size_t>(put);
    }
    out_.erase(0, sent);
    return true;
}

void ControlConnection::handle(std::uint32_t events) {
    bool open = !(events & EPOLLERR);
    if (open && events & EPOLLIN) open = receive();
    if (open) open = flush();
    if (open && !ended_) next_lines();
    // There may be no next event to tell it with.
    if (open) tell_missed();
    if (open) open = flush();
    // Both directions are shut, or everything that was asked is answered.
    if (open && (events & EPOLLHUP || (ended_ && out_.empty()))) open = false;
    if (!open) {
        closed_(*this);
        return;
    }
    const bool reading = !ended_ && out_.size() < most_unsent;
    loop_->change(watch_, (reading ? EPOLLIN : 0u) | (out_.empty() ? 0u : EPOLLOUT));
}

}  // namespace synward
