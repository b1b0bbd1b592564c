// SPDX-License-Identifier: GPL-2.0-or-later
// Captured bytes under every link type: no read or write out of bounds, and a frame
// keeps its length whatever is made of its client.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "lib/replay/capture.h"
#include "lib/replay/connections.h"
#include "lib/replay/link_type.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward::replay;
    constexpr int types[] = {link_null, link_ethernet, link_raw,    link_raw_file, link_loop,
                             link_ipv4, link_ipv6,     link_cooked, link_cooked2,  4711};
    if (size < 2) return 0;
    const int type = types[data[0] % std::size(types)];
    // Of exactly that size, so that a byte read too many is found.
    const std::vector<std::uint8_t> captured(data + 2, data + size);
    Packet packet;
    packet.length = static_cast<std::uint32_t>(captured.size());
    if (!to_ethernet(type, captured, data[1] & 1 ? Mac{2, 0, 0, 0, 0, 1} : Mac{}, packet)) return 0;
    require(link_type_known(type));
    require(packet.frame.size() >= 14 && packet.frame.size() == packet.length);
    const View view = read_frame(packet.frame);
    require(!view.tcp || (view.ip && view.tcp + 20 <= packet.frame.size()));

    Connections connections(4);
    connections.answered(view, packet.frame, packet.frame);
    connections.passed(view);
    connections.spoken(view);
    if (!view.tcp) return 0;
    connections.answered(view, packet.frame, packet.frame);
    // The client's next segment, so that what was answered is followed.
    std::vector<std::uint8_t> next = packet.frame;
    std::uint32_t first = 0;
    for (int i = 0; i < 4; i++) first = first << 8 | next[view.tcp + 4 + i];
    first++;
    for (int i = 0; i < 4; i++) next[view.tcp + 4 + i] = static_cast<std::uint8_t>(first >> (24 - 8 * i));
    connections.follow(view, next);
    connections.follow(view, next);
    require(next.size() == packet.frame.size());
    return 0;
}
