// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/remark_thread.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "lib/classify/connection_class.h"
#include "lib/local_addresses.h"

namespace synward {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int pause_factor = 4;                // times what the run took
constexpr std::size_t most_changed = 1 << 20;  // beyond it everything is looked at
constexpr auto retry_pause = std::chrono::seconds(5);

std::vector<Prefix> everything() {
    return {Prefix{{SW_IPV4, {}}, 0}, Prefix{{SW_IPV6, {}}, 0}};
}

// This host's own addresses. What is not one but a prefix, as transparent proxies have it,
// says nothing about who a source is.
Result<CoveredAddresses> own_addresses() {
    const auto network = read_local_network();
    if (!network) return tl::unexpected(network.error());
    std::vector<Prefix> own;
    for (const LocalRoute& route : network->routes)
        if (route.prefix.is_host()) own.push_back(route.prefix);
    return CoveredAddresses(std::move(own));
}

}  // namespace

Result<std::unique_ptr<RemarkThread>> RemarkThread::start() {
    auto remarker = Remarker::open();
    if (!remarker) return tl::unexpected(remarker.error());
    std::unique_ptr<RemarkThread> made(new RemarkThread(std::move(*remarker)));
    try {
        made->thread_ = std::thread([self = made.get()] { self->run(); });
    } catch (const std::system_error& error) {
        return fail_errno(error.code().value(), "cannot start the thread that marks existing connections");
    }
    return made;
}

RemarkThread::~RemarkThread() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void RemarkThread::want(Work work) {
    {
        const std::lock_guard lock(mutex_);
        auto changed = std::exchange(work.changed, {});
        auto waiting = wanted_ ? std::move(next_.changed) : std::vector<Prefix>();
        next_ = std::move(work);
        waiting.insert(waiting.end(), changed.begin(), changed.end());
        next_.changed = waiting.size() > most_changed ? everything() : std::move(waiting);
        wanted_ = true;
    }
    wake_.notify_one();
}

RemarkThread::Status RemarkThread::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

void RemarkThread::apply(Work work) {
    const CoveredAddresses covered(std::move(work.changed));
    work.changed = {};
    const auto own = own_addresses();
    // The sets are about who comes in: connections that this host opened were never looked up.
    const auto find = [&](const Connection& connection) {
        if (own->contains(connection.source)) return Remarker::Answer{.opened_here = true};
        return class_of(*work.index, connection);
    };
    const auto counts = own ? remarker_.run(covered, find, work.decided) : tl::unexpected(own.error());
    std::string problem = counts ? std::string() : counts.error().message;
    const std::lock_guard lock(mutex_);
    status_.runs++;
    if (counts) {
        status_.changed += counts->changed;
        status_.unclear += counts->unclear;
        if (counts->changed)
            spdlog::debug("{} of {} connections got another class", counts->changed, counts->connections);
    } else if (status_.problem != problem) {
        spdlog::warn("existing connections do not follow the sets: {}", problem);
    }
    failed_ = !counts;
    status_.problem = std::move(problem);
}

void RemarkThread::run() {
    pthread_setname_np(pthread_self(), "remark");
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stop_ || wanted_; });
        if (stop_) return;
        Work now = std::exchange(next_, {});
        // What the last run should have done is still to be done.
        if (failed_) now.changed = everything();
        Work again{.index = now.index, .changed = {}, .decided = now.decided};
        wanted_ = false;
        lock.unlock();
        const auto begun = Clock::now();
        apply(std::move(now));
        auto until = Clock::now() + pause_factor * (Clock::now() - begun);
        lock.lock();
        if (failed_) {
            until = std::max(until, Clock::now() + retry_pause);
            if (!wanted_) next_ = std::move(again);
            wanted_ = true;
        }
        wake_.wait_until(lock, until, [this] { return stop_; });
    }
}

}  // namespace synward
