// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/flow_sync.h"

#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "lib/clock.h"

namespace synward {
namespace {

using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC

constexpr std::chrono::seconds least_pause{1};  // between two readings of everything
constexpr std::chrono::seconds lost_pause{60};  // between two lines about lost reports
// Between two readings because reports were lost: who opens and closes connections by the
// hundred thousand shall not make us do nothing else.
constexpr std::chrono::seconds reading_pause{5};
constexpr int reading_share = 20;      // of the time that the one before took
constexpr unsigned most_failures = 6;  // after a reading that failed the pause doubles so often

std::atomic<std::uint64_t> lost_count{0};

}  // namespace

Result<std::unique_ptr<FlowSync>> FlowSync::start(KnownFlows& flows, std::chrono::milliseconds interval,
                                                  FlowFollower* follower) {
    return start(&flows, interval, follower, 0);
}

Result<std::unique_ptr<FlowSync>> FlowSync::start(FlowFollower& follower, int receive_buffer) {
    return start(nullptr, std::chrono::hours(1), &follower, receive_buffer);
}

Result<std::unique_ptr<FlowSync>> FlowSync::start(KnownFlows* flows, std::chrono::milliseconds interval,
                                                  FlowFollower* follower, int receive_buffer) {
    auto source = KnownFlowsSource::create({.sockets = flows != nullptr,
                                            .conntrack = flows != nullptr,
                                            .ended = follower != nullptr,
                                            .receive_buffer = receive_buffer});
    if (!source) return tl::unexpected(source.error());
    Descriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) return fail_errno(errno, "cannot make an eventfd");
    std::unique_ptr<FlowSync> sync(
        new FlowSync(flows, std::move(*source), interval, follower, std::move(stop)));
    try {
        sync->thread_ = std::thread([s = sync.get()] { s->run(); });
    } catch (const std::system_error& error) {
        return fail_errno(error.code().value(),
                          "cannot start the thread that follows the kernel's connections");
    }
    return sync;
}

FlowSync::~FlowSync() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_.get(), &one, sizeof one);
    if (thread_.joinable()) thread_.join();
}

void FlowSync::refresh() {
    if (!flows_) return;
    const auto counts = source_.refresh(*flows_, monotonic_now());
    if (counts) {
        complained_ = false;
        spdlog::debug("read {} sockets and {} conntrack entries", counts->sockets, counts->conntrack);
    } else if (!std::exchange(complained_, true)) {
        spdlog::warn("strays are judged without knowing the kernel's connections: {}",
                     counts.error().message);
    }
}

std::uint64_t FlowSync::lost() {
    return lost_count.load(std::memory_order_relaxed);
}

bool FlowSync::consume() {
    const auto reported =
        flows_ ? source_.consume(*flows_, follower_ ? &gone_ : nullptr) : source_.consume(gone_);
    if (!gone_.empty()) follower_->ended(gone_);
    gone_.clear();
    const bool lost = !reported || reported->lost;
    if (lost && follower_) {
        doubtful_ = true;
        tell_lost();
    }
    return lost;
}

void FlowSync::tell_lost() {
    const std::uint64_t times = lost_count.fetch_add(1, std::memory_order_relaxed) + 1;
    if (Clock::now() < tell_again_) return;
    tell_again_ = Clock::now() + lost_pause;
    spdlog::warn(
        "conntrack reported connections faster than they could be read ({} times until now): what there is "
        "will be read, to take those that ended unseen out of the flow table",
        times);
}

// What was lost is not known, so everything is in doubt until it is found in the kernel.
void FlowSync::reconcile() {
    const auto begun = Clock::now();
    follower_->doubt();
    const auto listed =
        source_.list([&](std::span<const FlowTuple> existing) { follower_->confirm(existing); });
    follower_->settle(listed.has_value());
    // Until one was whole, nothing says that no more reports will be lost to remind us of it.
    doubtful_ = !listed;
    if (!listed && failures_ == 0)
        spdlog::warn("connections that ended unseen stay in the flow table until all can be read: {}",
                     listed.error().message);
    const auto pause = reading_pause * (listed ? 1 : 1 << failures_);
    failures_ = listed ? 0 : std::min(failures_ + 1, most_failures);
    next_reading_ = Clock::now() + std::max<Clock::duration>(pause, reading_share * (Clock::now() - begun));
}

void FlowSync::run() {
    pthread_setname_np(pthread_self(), "flows");
    refresh();
    auto last = Clock::now();
    auto next = last + interval_;
    while (true) {
        std::array<pollfd, 2> waiting{{{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                                       {.fd = source_.fd(), .events = POLLIN, .revents = 0}}};
        const auto due = doubtful_ ? std::min(next, next_reading_) : next;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
        if (poll(waiting.data(), waiting.size(), static_cast<int>(std::max<std::int64_t>(left, 0))) < 0 &&
            errno != EINTR)
            return spdlog::error("the kernel's connections are not followed any more: poll failed");
        if (waiting[0].revents) return;
        if (waiting[1].revents) {
            // More reports than we can read shall not make us read everything over and over.
            if (consume() && flows_) next = std::min(next, last + least_pause);
        }
        if (doubtful_ && Clock::now() >= next_reading_) reconcile();
        if (Clock::now() < next) continue;
        refresh();
        last = Clock::now();
        next = last + interval_;
    }
}

}  // namespace synward
