// SPDX-License-Identifier: GPL-2.0-or-later
// The ring buffer sw_events, read as user space reads it.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <vector>

#include "abi/event.h"
#include "object.h"

namespace synward::bpf_test {

class EventQueue {
  public:
    // Begins empty: what earlier tests left behind is thrown away.
    explicit EventQueue(const Object& object);
    EventQueue(const EventQueue&) = delete;
    EventQueue& operator=(const EventQueue&) = delete;

    // Those of one type, of all that came since the beginning.
    std::vector<sw_event> of(sw_event_type type);
    // Whether a reader that waits, as the daemon does, has been woken since the last of().
    [[nodiscard]] bool woken() const;

  private:
    static int take(void* self, void* data, std::size_t size);

    std::vector<sw_event> events_;
    std::unique_ptr<ring_buffer, decltype(&ring_buffer__free)> ring_;
};

}  // namespace synward::bpf_test
