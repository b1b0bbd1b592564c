// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/event_loop.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace synward {

Result<EventLoop> EventLoop::create() {
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll) return fail_errno(errno, "cannot make an epoll instance");
    return EventLoop(std::move(epoll));
}

Result<EventLoop::Watch> EventLoop::watch(int fd, std::uint32_t events, Handler handler) {
    const Watch id = ++last_;
    epoll_event event{.events = events, .data = {.u64 = id}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event))
        return fail_errno(errno, "cannot watch a descriptor");
    watched_.emplace(id, Watched{fd, std::move(handler)});
    return id;
}

void EventLoop::change(Watch watch, std::uint32_t events) {
    const auto found = watched_.find(watch);
    if (found == watched_.end()) return;
    epoll_event event{.events = events, .data = {.u64 = watch}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void EventLoop::forget(Watch watch) {
    const auto found = watched_.find(watch);
    if (found == watched_.end()) return;
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
    watched_.erase(found);
}

Result<void> EventLoop::run() {
    std::array<epoll_event, 32> events;
    while (!stopped_) {
        const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
        if (count < 0 && errno != EINTR) return fail_errno(errno, "cannot wait for events");
        for (int i = 0; i < count && !stopped_; i++) {
            const auto found = watched_.find(events[i].data.u64);
            if (found == watched_.end()) continue;
            // A copy, since the handler may forget itself.
            const Handler handler = found->second.handler;
            handler(events[i].events);
        }
    }
    return {};
}

}  // namespace synward
