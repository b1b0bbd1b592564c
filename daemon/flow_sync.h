// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that keeps KnownFlows up to date with the kernel's sockets and
// conntrack entries: reading a hundred thousand of them takes a while, and
// nobody else should wait meanwhile.
#pragma once

#include <chrono>
#include <memory>
#include <thread>

#include "lib/decide/known_flows_source.h"
#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

class FlowSync {
  public:
    // Reads everything every `interval`, and what conntrack reports in between.
    // `flows` outlives this, and nobody else writes it. Messages go to the log.
    [[nodiscard]] static Result<std::unique_ptr<FlowSync>> start(KnownFlows& flows,
                                                                 std::chrono::milliseconds interval);
    FlowSync(const FlowSync&) = delete;
    FlowSync& operator=(const FlowSync&) = delete;
    ~FlowSync();

  private:
    FlowSync(KnownFlows& flows, KnownFlowsSource source, std::chrono::milliseconds interval, Descriptor stop)
        : flows_(flows), source_(std::move(source)), interval_(interval), stop_(std::move(stop)) {}
    void run();
    void refresh();

    KnownFlows& flows_;
    KnownFlowsSource source_;
    std::chrono::milliseconds interval_;
    Descriptor stop_;
    bool complained_ = false;
    std::thread thread_;
};

}  // namespace synward
