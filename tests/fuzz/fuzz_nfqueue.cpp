// SPDX-License-Identifier: GPL-2.0-or-later
// Datagrams of nfnetlink_queue: any bytes, of which each that is a packet gets a
// verdict that names it.
#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lib/escalation/nfqueue_message.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    const std::vector<std::uint8_t> datagram(data, data + size);
    const QueueMessage message = read_queue_message(datagram);
    if (message.kind == QueueMessage::Kind::answer) require(message.error >= 0 && message.error <= 4095);
    if (message.kind != QueueMessage::Kind::packet) return 0;
    require(message.packet.bytes.size() <= size);
    FlowEvent event;
    fill_event(message.packet, event);
    require(event.reason < SW_REASON_COUNT);
    require(event.kind == event_kind(event.reason));
    std::array<std::uint8_t, queue_verdict_bytes> verdict;
    write_queue_verdict(verdict, 1, {.id = event.id});
    std::uint32_t id = 0;
    std::memcpy(&id, &verdict[28], sizeof id);  // behind both headers, the attribute and the verdict
    require(ntohl(id) == message.packet.id);
    return 0;
}
