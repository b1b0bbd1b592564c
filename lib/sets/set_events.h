// SPDX-License-Identifier: GPL-2.0-or-later
// Tells when ipsets change, where the kernel lets ip_set be traced (fexit programs,
// xdp/set_events.bpf.c). Entries that time out and those that a SET target adds are not told.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "lib/result.h"
#include "lib/sets/mirror.h"
#include "lib/sets/set_event.h"

namespace synward {

// Move-only; one thread at a time. The programs go with it.
class SetEvents {
  public:
    // Of the caller's network namespace. `object`: of set_events.bpf.o; empty: where
    // synward.bpf.o is. Codes as the kernel has them: `privilege` also where it forbids tracing.
    static Result<SetEvents> open(const std::string& object = {});
    SetEvents(SetEvents&&) noexcept;
    SetEvents& operator=(SetEvents&&) noexcept;
    ~SetEvents();

    // Readable when there is something to consume.
    [[nodiscard]] int fd() const;
    // Reports what happened to the mirror; names are told once however often they come.
    // Returns how many events there were.
    std::size_t consume(SetMirror& mirror);

  private:
    struct Impl;
    explicit SetEvents(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward
