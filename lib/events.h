// SPDX-License-Identifier: GPL-2.0-or-later
// Events of the BPF programs, from the ring buffer sw_events.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "lib/abi/event.h"
#include "lib/abi/reasons.h"
#include "lib/address.h"
#include "lib/instance.h"
#include "lib/result.h"

namespace synward {

struct Event {
    std::chrono::nanoseconds time{};  // CLOCK_MONOTONIC
    sw_event_type type = SW_EVENT_ARMED;
    unsigned service = 0;    // index
    std::uint32_t rate = 0;  // SYNs a second; is_arming() only
    // sample, handshake and shape only
    sw_reason reason = SW_REASON_NO_POLICY;
    Address source;
    Address destination;
    std::uint16_t source_port = 0;  // host byte order
    std::uint16_t destination_port = 0;
    sw_shape shape{};  // shape only
};

// Of a service; the other types are about one packet.
[[nodiscard]] constexpr bool is_arming(sw_event_type type) {
    return type == SW_EVENT_ARMED || type == SW_EVENT_OVERFLOW || type == SW_EVENT_DISARMED;
}

// For the deciders to learn from; too many to show.
[[nodiscard]] constexpr bool is_observation(sw_event_type type) {
    return type == SW_EVENT_HANDSHAKE || type == SW_EVENT_SHAPE;
}

// Nothing for a record of a type or family this version does not know.
[[nodiscard]] std::optional<Event> decode_event(const void* data, std::size_t size);

// The kernel gives every event to one reader only: two readers share them.
// Move-only; one thread. The callback must not use the reader.
class EventReader {
  public:
    using Callback = std::function<void(const Event&)>;
    [[nodiscard]] static Result<EventReader> create(const Instance& instance, Callback callback);
    EventReader(EventReader&&) noexcept;
    EventReader& operator=(EventReader&&) noexcept;
    ~EventReader();

    // Readable when events wait; for epoll. Owned by the reader.
    [[nodiscard]] int fd() const;
    // Calls back for every event that waits; returns how many.
    Result<unsigned> consume();
    // Waits for events first, at most `timeout` (negative: for ever).
    Result<unsigned> poll(std::chrono::milliseconds timeout);

  private:
    struct Impl;
    explicit EventReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace synward
