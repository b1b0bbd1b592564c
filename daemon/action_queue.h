// SPDX-License-Identifier: GPL-2.0-or-later
// From one worker to the control thread: what the deciders want done.
#pragma once

#include <cstdint>

#include "daemon/worker_queue.h"
#include "lib/decide/decision.h"

namespace synward {

// An action with what `report` tells of the decision behind it.
struct WantedAction {
    WantedAction() = default;
    WantedAction(const Action& wanted, const Decision& decision, EventKind event)
        : action(wanted),
          decider(decision.decider),
          reason(decision.reason),
          kind(event),
          service(decision.service),
          dropped(decision.wanted == Opinion::none ? decision.verdict.kind == SW_VERDICT_DROP
                                                   : decision.wanted == Opinion::drop),
          dry(decision.dry_run) {}
    // Whether it is one to be carried out: in a dry run there is nothing to do but to tell.
    [[nodiscard]] bool due() const { return !dry || action.kind == Action::Kind::report; }

    Action action;
    DeciderId decider = DeciderId::chain;
    DecisionReason reason = DecisionReason::service_default;
    EventKind kind = EventKind::other;
    std::uint8_t service = 0;  // index
    bool dropped = false;      // the packet, or in a dry run: it would have been
    bool dry = false;          // only to be told of
};

using ActionQueue = WorkerQueue<WantedAction, 4096>;

}  // namespace synward
