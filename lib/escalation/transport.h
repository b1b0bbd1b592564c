// SPDX-License-Identifier: GPL-2.0-or-later
// Batches of events up, batches of verdicts down. The daemon does not know
// whether it is the module's verdict ring or nfnetlink_queue.
//
//     while (poll(transport.fd()))
//         if (auto events = transport.receive()) { decide…; transport.send(verdicts); }
//
// One thread per transport. Neither receive() nor send() locks or allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "lib/escalation/event.h"
#include "lib/result.h"

namespace synward {

struct TransportStats {
    std::uint64_t received = 0;  // packets
    std::uint64_t verdicts = 0;  // sent
    std::uint64_t batches = 0;   // calls of receive() that returned any
    std::uint64_t lost = 0;      // the kernel had no room for them, or told us of a loss (ENOBUFS)
    std::uint64_t torn = 0;      // frames taken away while being read (deadline), messages not understood
    std::uint64_t refused = 0;   // verdicts the kernel sent back (nfqueue): it no longer held the packet
    std::uint64_t system_calls = 0;
};

class Transport {
  public:
    Transport() = default;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;
    virtual ~Transport() = default;

    // Readable when events wait. Owned by the transport.
    [[nodiscard]] virtual int fd() const = 0;
    // Does not wait. The events stay valid until the next call; none: nothing
    // waits. Each with an id must get a verdict, or meets its deadline.
    [[nodiscard]] virtual Result<std::span<const FlowEvent>> receive() = 0;
    // All at once, in the order given, which should be that of arrival.
    virtual Result<void> send(std::span<const Verdict> verdicts) = 0;

    // From any thread.
    [[nodiscard]] virtual TransportStats stats() const = 0;
    [[nodiscard]] virtual std::string_view name() const = 0;  // "ring", "nfqueue"
};

}  // namespace synward
