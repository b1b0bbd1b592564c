// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/events.h"

#include <arpa/inet.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/loader.h"

namespace synward {
namespace {

Address address_of(unsigned family, const __u8 (&bytes)[16]) {
    Address address{.family = static_cast<sw_family>(family)};
    std::copy_n(bytes, address.bits() / 8, address.bytes.begin());
    return address;
}

}  // namespace

std::optional<Event> decode_event(const void* data, std::size_t size) {
    sw_event raw{};
    if (size < sizeof raw) return std::nullopt;
    std::memcpy(&raw, data, sizeof raw);
    if (raw.type >= SW_EVENT_COUNT || raw.family >= SW_FAMILIES) return std::nullopt;
    Event event{.time = std::chrono::nanoseconds(raw.time),
                .type = static_cast<sw_event_type>(raw.type),
                .service = raw.service,
                .rate = raw.rate};
    if (!is_arming(event.type)) {
        event.shape = raw.shape;
        event.reason = static_cast<sw_reason>(raw.reason);
        event.source = address_of(raw.family, raw.source);
        event.destination = address_of(raw.family, raw.destination);
        event.source_port = ntohs(raw.source_port);
        event.destination_port = ntohs(raw.destination_port);
    }
    return event;
}

struct EventReader::Impl {
    struct Free {
        void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
    };
    Callback callback;
    std::unique_ptr<ring_buffer, Free> ring;

    static int on_record(void* context, void* data, std::size_t size) {
        if (const auto event = decode_event(data, size)) static_cast<Impl*>(context)->callback(*event);
        return 0;
    }
};

EventReader::EventReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EventReader::EventReader(EventReader&&) noexcept = default;
EventReader& EventReader::operator=(EventReader&&) noexcept = default;
EventReader::~EventReader() = default;

Result<EventReader> EventReader::create(const Instance& instance, Callback callback) {
    capture_libbpf_messages();
    auto impl = std::make_unique<Impl>();
    impl->callback = std::move(callback);
    impl->ring.reset(ring_buffer__new(instance.map_fd("sw_events"), Impl::on_record, impl.get(), nullptr));
    if (!impl->ring) return fail_errno(errno, "cannot open the ring of events");
    return EventReader(std::move(impl));
}

int EventReader::fd() const {
    return ring_buffer__epoll_fd(impl_->ring.get());
}

Result<unsigned> EventReader::consume() {
    const int count = ring_buffer__consume(impl_->ring.get());
    if (count < 0) return fail_errno(-count, "cannot read events");
    return static_cast<unsigned>(count);
}

Result<unsigned> EventReader::poll(std::chrono::milliseconds timeout) {
    const int count = ring_buffer__poll(impl_->ring.get(), static_cast<int>(timeout.count()));
    // A signal is the caller's business, not a failure.
    if (count == -EINTR) return 0u;
    if (count < 0) return fail_errno(-count, "cannot wait for events");
    return static_cast<unsigned>(count);
}

}  // namespace synward
