// SPDX-License-Identifier: GPL-2.0-or-later
// Decides about escalated packets: drops strays, lets everything else go on.
//     g++ -std=c++20 reader.cpp $(pkg-config --cflags --libs synward) -o reader
#include <poll.h>

#include <iostream>
#include <vector>

#include "lib/escalation/open.h"
#include "lib/escalation/queue_rule.h"

int main() {
    using namespace synward;
    auto opened = open_transport(TransportChoice::automatic, 0, 1, {});
    if (!opened) return std::cerr << opened.error().message << '\n', 1;
    Transport& transport = *opened->transport;
    // The ring takes marked packets by itself; nfnetlink_queue needs a rule.
    if (transport.name() == "nfqueue")
        if (auto rule = install_queue_rule({default_first_queue, default_first_queue}); !rule)
            return std::cerr << rule.error().message << '\n', 1;
    std::cerr << opened->why << std::endl;

    std::vector<Verdict> verdicts;
    pollfd waiting{.fd = transport.fd(), .events = POLLIN, .revents = 0};
    while (poll(&waiting, 1, -1) > 0) {
        auto events = transport.receive();
        if (!events) return std::cerr << events.error().message << '\n', 1;
        verdicts.clear();
        for (const FlowEvent& event : *events)
            verdicts.push_back(
                {.id = event.id,
                 .kind = event.kind == EventKind::stray ? SW_VERDICT_DROP : SW_VERDICT_ACCEPT});
        if (auto sent = transport.send(verdicts); !sent) return std::cerr << sent.error().message << '\n', 1;
    }
}
