// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/open.h"

#include <fmt/format.h>

#include <utility>

#include "lib/escalation/module.h"

namespace synward {
namespace {

Result<OpenedTransport> open_ring(std::uint16_t index, std::uint16_t count, const TransportOptions& options,
                                  std::string why) {
    RingOptions ring = options.ring;
    ring.ring = index;
    ring.rings = count;
    auto opened = RingTransport::open(ring);
    if (!opened) return tl::unexpected(opened.error());
    return OpenedTransport{std::move(*opened), std::move(why)};
}

Result<OpenedTransport> open_nfqueue(std::uint16_t index, std::uint16_t count,
                                     const TransportOptions& options, std::string why) {
    if (unsigned{options.first_queue} + count > UINT16_MAX + 1u)
        return fail(ErrorCode::usage, fmt::format("{} queues from {}: queue numbers end at {}", count,
                                                  options.first_queue, UINT16_MAX));
    NfqueueOptions nfqueue = options.nfqueue;
    nfqueue.queue = static_cast<std::uint16_t>(options.first_queue + index);
    auto opened = NfqueueTransport::open(nfqueue);
    if (!opened) return tl::unexpected(opened.error());
    return OpenedTransport{std::move(*opened), std::move(why)};
}

// One that is installed: the kernel does it when its generic netlink family is asked for.
void load_module() {
    (void)ModuleControl::open();
}

}  // namespace

std::string_view choice_name(TransportChoice choice) {
    switch (choice) {
        case TransportChoice::automatic:
            return "auto";
        case TransportChoice::ring:
            return "ring";
        case TransportChoice::nfqueue:
            break;
    }
    return "nfqueue";
}

Result<OpenedTransport> open_transport(TransportChoice choice, std::uint16_t index, std::uint16_t count,
                                       const TransportOptions& options) {
    if (count < 1 || count > SW_RINGS_MAX || index >= count)
        return fail(ErrorCode::usage, fmt::format("share {} of {}: there may be 1 to {}, numbered from 0",
                                                  index, count, SW_RINGS_MAX));
    if (choice == TransportChoice::nfqueue)
        return open_nfqueue(index, count, options, "nfqueue, as configured");
    if (!module_loaded()) load_module();
    if (choice == TransportChoice::ring) return open_ring(index, count, options, "ring, as configured");
    auto ring = open_ring(index, count, options, "ring: the kernel module synward is loaded");
    if (ring) return ring;
    switch (ring.error().code) {
        case ErrorCode::missing:
            return open_nfqueue(index, count, options, "nfqueue: the kernel module synward is not loaded");
        // A unit's DeviceAllow= covers a device that was there when it was started.
        case ErrorCode::privilege:
        case ErrorCode::mismatch:
            return open_nfqueue(index, count, options, fmt::format("nfqueue: {}", ring.error().message));
        default:
            return ring;
    }
}

}  // namespace synward
