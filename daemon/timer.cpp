// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/timer.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>

namespace synward {

Result<Timer> Timer::create(EventLoop& loop, std::function<void()> expired) {
    Descriptor fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "cannot make a timer");
    const int raw = fd.get();
    auto watch = loop.watch(raw, EPOLLIN, [raw, expired = std::move(expired)](std::uint32_t) {
        std::uint64_t times;
        if (read(raw, &times, sizeof times) == sizeof times) expired();
    });
    if (!watch) return tl::unexpected(watch.error());
    return Timer(loop, std::move(fd), *watch);
}

Timer::~Timer() {
    if (watch_) loop_->forget(watch_);
}

void Timer::every(std::chrono::milliseconds interval) {
    const timespec time{.tv_sec = interval.count() / 1000, .tv_nsec = interval.count() % 1000 * 1'000'000};
    const itimerspec spec{.it_interval = time, .it_value = time};
    timerfd_settime(fd_.get(), 0, &spec, nullptr);
}

}  // namespace synward
