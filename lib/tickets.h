// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's decisions that the BPF program keeps (map sw_tickets).
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "lib/abi/escalate.h"
#include "lib/address.h"

namespace synward {

// A decision to be written.
struct Ticket {
    sw_ticket_key key{};
    sw_action action = SW_ACTION_PASS;  // pass or drop
    std::uint8_t decider = 0;           // DeciderId
    std::chrono::milliseconds lifetime{};
};

// One that is in force.
struct TicketView {
    unsigned service = 0;  // index
    sw_doubt doubt = SW_DOUBT_STRAY;
    sw_action action = SW_ACTION_PASS;
    std::uint8_t decider = 0;
    std::chrono::milliseconds left{};
};

// The same, with what it is about.
struct TicketEntry : TicketView {
    Address source;    // unless the doubt is SW_DOUBT_SHAPE
    sw_shape shape{};  // if it is
};

}  // namespace synward
