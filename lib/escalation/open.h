// SPDX-License-Identifier: GPL-2.0-or-later
// Which transport: what the configuration asks for and the kernel offers.
#pragma once

#include <memory>
#include <string>

#include "lib/escalation/nfqueue.h"
#include "lib/escalation/ring.h"

namespace synward {

enum class TransportChoice {
    automatic,  // the ring where the module is loaded, otherwise nfqueue
    ring,
    nfqueue,
};

// The word of the config file: auto, ring, nfqueue.
[[nodiscard]] std::string_view choice_name(TransportChoice choice);

// nfqueue's first queue: a number that nobody else is likely to use ("SY").
inline constexpr std::uint16_t default_first_queue = 0x5359;

struct TransportOptions {
    RingOptions ring;                                 // `ring` and `rings` are set by open_transport()
    NfqueueOptions nfqueue;                           // so is `queue`
    std::uint16_t first_queue = default_first_queue;  // worker i reads queue first_queue + i
};

struct OpenedTransport {
    std::unique_ptr<Transport> transport;
    std::string why;  // for status and log: which it is and why, one sentence without a full stop
};

// The share `index` of `count`. An installed module is loaded for it. With `automatic`, one that
// is missing, out of reach or of another version means nfqueue; every other failure of the ring
// is one.
// All shares should be of one kind: open those after the first by its name.
Result<OpenedTransport> open_transport(TransportChoice choice, std::uint16_t index, std::uint16_t count,
                                       const TransportOptions& options);

}  // namespace synward
