// SPDX-License-Identifier: GPL-2.0-or-later
// A thread that keeps KnownFlows up to date with the kernel's sockets and
// conntrack entries: reading a hundred thousand of them takes a while, and
// nobody else should wait meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "lib/decide/known_flows_source.h"
#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

// Who wants to know which connections are gone. Called on the thread, with both directions of each.
class FlowFollower {
  public:
    virtual ~FlowFollower() = default;
    // Conntrack forgot these.
    virtual void ended(std::span<const FlowTuple> flows) = 0;
    // Reports of that were lost: whatever is known now may be gone. confirm() tells what is not,
    // then settle() whether that was `all`.
    virtual void doubt() = 0;
    virtual void confirm(std::span<const FlowTuple> flows) = 0;
    virtual void settle(bool all) = 0;
};

class FlowSync {
  public:
    // Reads everything every `interval`, and what conntrack reports in between.
    // Both outlive this, and nobody else writes `flows`. Messages go to the log.
    [[nodiscard]] static Result<std::unique_ptr<FlowSync>> start(KnownFlows& flows,
                                                                 std::chrono::milliseconds interval,
                                                                 FlowFollower* follower = nullptr);
    // Only tells what ended. `receive_buffer`: KnownFlowsSource::Options.
    [[nodiscard]] static Result<std::unique_ptr<FlowSync>> start(FlowFollower& follower,
                                                                 int receive_buffer = 0);
    FlowSync(const FlowSync&) = delete;
    FlowSync& operator=(const FlowSync&) = delete;
    ~FlowSync();

    // How often conntrack reported ends faster than they were read, since the process began.
    [[nodiscard]] static std::uint64_t lost();

  private:
    FlowSync(KnownFlows* flows, KnownFlowsSource source, std::chrono::milliseconds interval,
             FlowFollower* follower, Descriptor stop)
        : flows_(flows),
          source_(std::move(source)),
          interval_(interval),
          follower_(follower),
          stop_(std::move(stop)) {}
    static Result<std::unique_ptr<FlowSync>> start(KnownFlows* flows, std::chrono::milliseconds interval,
                                                   FlowFollower* follower, int receive_buffer);
    void run();
    void refresh();
    bool consume();  // whether reports were lost
    void tell_lost();
    void reconcile();

    KnownFlows* flows_;  // null: only what ended is wanted
    KnownFlowsSource source_;
    std::chrono::milliseconds interval_;
    FlowFollower* follower_;  // null: nobody wants to know
    std::vector<FlowTuple> gone_;
    Descriptor stop_;
    bool complained_ = false;
    std::chrono::steady_clock::time_point tell_again_{};
    bool doubtful_ = false;  // reports were lost since the connections were last read as a whole
    unsigned failures_ = 0;  // readings in a row that were not whole
    std::chrono::steady_clock::time_point next_reading_{};
    std::thread thread_;
};

}  // namespace synward
