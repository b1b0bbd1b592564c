// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's tick counter (jiffies64), which the BPF programs use as clock.
#pragma once

#include <cstdint>
#include <utility>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

// Asks the kernel by running a three-instruction BPF program, since no file
// tells jiffies exactly. Move-only; not thread-safe.
class TickClock {
  public:
    [[nodiscard]] static Result<TickClock> create();
    // jiffies64, as bpf_jiffies64() returns it.
    [[nodiscard]] Result<std::uint64_t> now() const;
    [[nodiscard]] unsigned hz() const { return hz_; }

  private:
    TickClock(Descriptor program, unsigned hz) : program_(std::move(program)), hz_(hz) {}
    Descriptor program_;
    unsigned hz_;
};

}  // namespace synward
