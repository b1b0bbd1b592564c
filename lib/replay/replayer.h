// SPDX-License-Identifier: GPL-2.0-or-later
// Runs packets through the program with maps of its own: nothing that is attached
// anywhere sees them, and nothing of it changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/instance.h"
#include "lib/policy.h"
#include "lib/replay/connections.h"
#include "lib/result.h"

namespace synward::replay {

struct ReplayerOptions {
    std::string object;  // of synward.bpf.o, beside which synward-replay.bpf.o lies; empty: searched
    std::uint32_t flows = default_flows;
    std::uint32_t sources = default_sources;
    std::optional<sw_mode> mode;  // of every service, in place of the policy's
    // Where the packets come in, whose namespace is the caller's and has the listeners.
    // 0: the calling process is moved for good into a network namespace of its own, in
    // which every address is local and whatever is protected has a listener.
    unsigned interface = 0;
};

struct Outcome {
    std::uint32_t action = 0;  // enum xdp_action
    sw_reason reason = SW_REASON_NO_POLICY;
    unsigned service = 0;
    bool escalated = false;
    bool refused = false;                 // the kernel does not run so large a packet
    std::span<const std::uint8_t> reply;  // where the action is XDP_TX; until the next run
};

// Bound to one CPU, as the budgets of the program are. Move-only; one thread.
class Replayer {
  public:
    // A copy of what the instance has now: policy, keys, sources, tickets, connections.
    [[nodiscard]] static Result<Replayer> of_instance(const Instance& instance,
                                                      const ReplayerOptions& options);
    // With the sources of the policy, and no others.
    [[nodiscard]] static Result<Replayer> of_policy(const CompiledPolicy& policy,
                                                    const ReplayerOptions& options);
    Replayer(Replayer&&) noexcept;
    Replayer& operator=(Replayer&&) noexcept;
    ~Replayer();

    // `time`: ns since 1970 at which it was captured. The program's clock is the present one,
    // put back by as much as the first packet is old; it never runs backwards.
    [[nodiscard]] Result<Outcome> run(std::span<const std::uint8_t> frame, const View& view,
                                      std::int64_t time);
    // The kernel has the connection of this segment.
    void know(const View& view);

    [[nodiscard]] const CompiledPolicy& policy() const;

  private:
    struct Impl;
    explicit Replayer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward::replay
