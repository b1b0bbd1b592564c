// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/signals.h"

#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>

namespace synward {

Result<Signals> Signals::create(EventLoop& loop, std::function<void(int)> received) {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGHUP, SIGINT, SIGTERM}) sigaddset(&set, signal);
    if (sigprocmask(SIG_BLOCK, &set, nullptr)) return fail_errno(errno, "cannot block signals");
    Descriptor fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return fail_errno(errno, "cannot make a signalfd");
    const int raw = fd.get();
    auto watch = loop.watch(raw, EPOLLIN, [raw, received = std::move(received)](std::uint32_t) {
        signalfd_siginfo info;
        while (read(raw, &info, sizeof info) == sizeof info) received(static_cast<int>(info.ssi_signo));
    });
    if (!watch) return tl::unexpected(watch.error());
    return Signals(loop, std::move(fd), *watch);
}

Signals::~Signals() {
    if (watch_) loop_->forget(watch_);
}

}  // namespace synward
