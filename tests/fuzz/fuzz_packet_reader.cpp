// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon's reading of packets: within bounds on any bytes, and what XDP read
// of a packet it reads likewise, so that tickets fit.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lib/escalation/event.h"
#include "packet_oracle.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

bool same(const synward::RawAddress& address, const std::uint32_t* other) {
    return std::memcmp(address.data(), other, sizeof address) == 0;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    // Of exactly that size, so that a byte read too many is found.
    const std::vector<std::uint8_t> packet(data, data + size);
    FlowEvent event;
    event.ttl = 77;
    event.source = {1, 2, 3, 4};
    if (!read_packet(packet, event)) {
        require(event.ttl == 77 && event.source == RawAddress{1, 2, 3, 4});
        return 0;
    }
    require(event.family == SW_IPV4 || event.family == SW_IPV6);

    oracle said;
    if (!packet_oracle(packet.data(), packet.size(), &said)) return 0;
    require((event.family == SW_IPV6) == (said.ipv6 != 0));
    require(same(event.source, said.source) && same(event.destination, said.destination));
    require(event.source_port == said.source_port && event.destination_port == said.destination_port);
    require(event.tcp_flags == said.flags);
    if (said.segment && (event.tcp_flags & 0x12) == 0x02)
        require(std::memcmp(&event.shape, &said.shape, sizeof event.shape) == 0);
    return 0;
}
