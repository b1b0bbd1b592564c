// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that keeps KnownFlows up to date with the kernel's sockets and
// conntrack entries: reading a hundred thousand of them takes a while, and
// nobody else should wait meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "lib/decide/known_flows_source.h"
#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

class FlowSync {
  public:
    // Called on the thread with both directions of connections that conntrack forgot. Those
    // whose reports were lost are not among them: their flows stay. See lost().
    using Ended = std::function<void(std::span<const FlowTuple>)>;

    // Reads everything every `interval`, and what conntrack reports in between.
    // `flows` outlives this, and nobody else writes it. Messages go to the log.
    [[nodiscard]] static Result<std::unique_ptr<FlowSync>> start(KnownFlows& flows,
                                                                 std::chrono::milliseconds interval,
                                                                 Ended ended = {});
    // Only tells what ended.
    [[nodiscard]] static Result<std::unique_ptr<FlowSync>> start(Ended ended);
    FlowSync(const FlowSync&) = delete;
    FlowSync& operator=(const FlowSync&) = delete;
    ~FlowSync();

    // How often conntrack reported ends faster than they were read, since the process began.
    [[nodiscard]] static std::uint64_t lost();

  private:
    FlowSync(KnownFlows* flows, KnownFlowsSource source, std::chrono::milliseconds interval, Ended ended,
             Descriptor stop)
        : flows_(flows),
          source_(std::move(source)),
          interval_(interval),
          ended_(std::move(ended)),
          stop_(std::move(stop)) {}
    static Result<std::unique_ptr<FlowSync>> start(KnownFlows* flows, std::chrono::milliseconds interval,
                                                   Ended ended);
    void run();
    void refresh();
    bool consume();  // whether reports were lost
    void tell_lost();

    KnownFlows* flows_;  // null: only what ended is wanted
    KnownFlowsSource source_;
    std::chrono::milliseconds interval_;
    Ended ended_;
    std::vector<FlowTuple> gone_;
    Descriptor stop_;
    bool complained_ = false;
    std::chrono::steady_clock::time_point tell_again_{};
    std::thread thread_;
};

}  // namespace synward
