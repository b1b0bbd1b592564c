// SPDX-License-Identifier: GPL-2.0-or-later
// What the program must do with one frame, decided from the frame's bytes, the
// policy and the sockets of the host; written from the documents, not from xdp/.
#pragma once

#include <functional>
#include <optional>

#include "abi/metadata.h"
#include "policy.h"
#include "segment.h"

namespace synward::bpf_test {

struct Expectation {
    sw_reason reason;
    unsigned service;      // whose counter
    std::uint32_t action;  // enum xdp_action
    Bytes frame;           // what leaves the program; nothing is asserted of a dropped one
    std::optional<sw_metadata> metadata;
};

class Oracle {
  public:
    Oracle(const Policy& policy, std::uint32_t epoch) : policy_(policy), epoch_(epoch) {}

    // For tuples that neither the flow table nor a socket knows, when the filter
    // is empty, and budgets (of replies, of escalation) are not exhausted.
    [[nodiscard]] Expectation judge(View frame) const;

    // Everything that follows from one reason: the action by the X-macro and the
    // policy, the reply, the metadata.
    [[nodiscard]] Expectation outcome(View frame, sw_reason reason, unsigned service) const;

    // What a socket look-up finds; by default a plain listener on every port.
    std::function<sw_listener_kind(const Address&, unsigned port)> listener = [](const Address&, unsigned) {
        return SW_LISTENER_PLAIN;
    };

  private:
    [[nodiscard]] std::pair<sw_reason, unsigned> decide(const Segment& segment) const;
    [[nodiscard]] sw_reason decide_armed(const Segment& segment, unsigned service) const;
    [[nodiscard]] sw_reason decide_syn(const Segment& segment, unsigned service) const;
    // What the tickets say of a doubtful packet: the reason itself where none does.
    [[nodiscard]] sw_reason decided_before(const Segment& segment, unsigned service, sw_reason reason) const;
    // What the service, or the interface where no port was read, does with a doubtful packet.
    [[nodiscard]] unsigned action_of(sw_reason reason, unsigned service) const;

    const Policy& policy_;
    std::uint32_t epoch_;
};

enum class Kind { pass, drop, tx, policy, tc, ring };
// The action column of the X-macro.
Kind kind_of(sw_reason reason);

bool is_bad_source(const Address& source, const Address& destination);

}  // namespace synward::bpf_test
