// SPDX-License-Identifier: GPL-2.0-or-later
#include "event_queue.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <stdexcept>

namespace synward::bpf_test {

EventQueue::EventQueue(const Object& object)
    : ring_(ring_buffer__new(object.map("sw_events"), &EventQueue::take, this, nullptr), &ring_buffer__free) {
    if (!ring_) throw std::runtime_error("cannot read sw_events");
    ring_buffer__consume(ring_.get());
    events_.clear();
}

std::vector<sw_event> EventQueue::of(sw_event_type type) {
    ring_buffer__consume(ring_.get());
    std::vector<sw_event> found;
    for (const sw_event& event : events_)
        if (event.type == type) found.push_back(event);
    return found;
}

bool EventQueue::woken() const {
    pollfd waiting{.fd = ring_buffer__epoll_fd(ring_.get()), .events = POLLIN, .revents = 0};
    // The wake-up comes from an interrupt of its own, right behind the program.
    return poll(&waiting, 1, 100) == 1;
}

int EventQueue::take(void* self, void* data, std::size_t size) {
    EXPECT_EQ(size, sizeof(sw_event));
    static_cast<EventQueue*>(self)->events_.push_back(*static_cast<sw_event*>(data));
    return 0;
}

}  // namespace synward::bpf_test
