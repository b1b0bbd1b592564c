// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "lib/clock.h"

namespace synward {
namespace {

constexpr std::size_t most_events = 4096;  // of one receive(), by any transport

void ring(int eventfd) {
    const std::uint64_t one = 1;
    // It can only be full, and then the reader is woken anyway.
    [[maybe_unused]] const auto written = write(eventfd, &one, sizeof one);
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(unsigned index, std::unique_ptr<Transport> transport,
                                              const DecideConfig& config, DecideShared& shared,
                                              KeySource& keys, int notify, Recorder* recorder) {
    Descriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) return fail_errno(errno, "cannot make an eventfd");
    std::unique_ptr<Worker> worker(
        new Worker(index, std::move(transport), config, shared, keys, notify, std::move(stop)));
    if (recorder) worker->record(*recorder);
    try {
        worker->thread_ = std::thread([w = worker.get()] { w->run(); });
    } catch (const std::system_error& error) {
        return fail_errno(error.code().value(), "cannot start a thread for verdicts");
    }
    return worker;
}

Worker::Worker(unsigned index, std::unique_ptr<Transport> transport, const DecideConfig& config,
               DecideShared& shared, KeySource& keys, int notify, Descriptor stop)
    : index_(index),
      transport_(std::move(transport)),
      chain_(config, shared, keys),
      notify_(notify),
      stop_(std::move(stop)) {
    verdicts_.reserve(most_events);
}

Worker::~Worker() {
    close();
}

void Worker::close() {
    ring(stop_.get());
    if (thread_.joinable()) thread_.join();
    transport_.reset();
    if (recorded_) recorded_->close();
}

void Worker::record(Recorder& recorder) {
    if (!recorded_) recorded_ = std::make_shared<TraceQueue>();
    recorder.add(recorded_);
    trace_.store(recorded_.get(), std::memory_order_release);
}

std::string Worker::failure() const {
    return failed_.load(std::memory_order_acquire) ? failure_ : std::string();
}

void Worker::fail_with(const Error& error) {
    failure_ = error.message;
    failed_.store(true, std::memory_order_release);
    ring(notify_);
}

void Worker::pin() const {
    pthread_setname_np(pthread_self(), fmt::format("verdicts-{}", index_).c_str());
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    const int count = CPU_COUNT(&allowed);
    int nth = count ? static_cast<int>(index_) % count : 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || nth--) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(pthread_self(), sizeof one, &one);
        return;
    }
}

void Worker::run() {
    pin();
    std::array<pollfd, 2> waiting{{{.fd = transport_->fd(), .events = POLLIN, .revents = 0},
                                   {.fd = stop_.get(), .events = POLLIN, .revents = 0}}};
    while (true) {
        if (poll(waiting.data(), waiting.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return fail_with(fail_errno(errno, "cannot wait for packets").value());
        }
        if (waiting[1].revents) return;
        // POLLERR is an error that receive() fetches and counts (ENOBUFS), POLLHUP the end.
        if (waiting[0].revents & POLLNVAL) return fail_with({"the transport is closed", ErrorCode::missing});
        auto events = transport_->receive();
        if (!events) return fail_with(events.error());
        if (events->empty() && waiting[0].revents & POLLHUP)
            return fail_with({"the transport was taken away", ErrorCode::missing});
        if (!events->empty() && !batch(*events)) return;
    }
}

bool Worker::batch(std::span<const FlowEvent> events) {
    const std::uint64_t now = trace_time(monotonic_now());
    TraceQueue* trace = trace_.load(std::memory_order_acquire);
    if (trace && !trace->on()) trace = nullptr;
    const bool flows_read = trace && chain_.flows_read(now);
    Decision decision;
    bool wanted = false;
    verdicts_.clear();
    for (const FlowEvent& event : events) {
        chain_.decide(event, now, decision);
        if (event.id) verdicts_.push_back(decision.verdict);
        if (trace) trace->push(event, now, decision, flows_read);
        for (const Action& action : decision.wanted_actions()) {
            const WantedAction one(action, decision, event.kind);
            if (!one.due()) continue;
            wanted = true;
            actions_.push(one);
        }
    }
    if (const auto sent = transport_->send(verdicts_); !sent) {
        fail_with(sent.error());
        return false;
    }
    if (wanted) ring(notify_);
    return true;
}

}  // namespace synward
