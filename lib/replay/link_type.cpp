// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/replay/link_type.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>

#include "lib/replay/capture.h"

namespace synward::replay {
namespace {

constexpr Mac nobody{0x02, 0, 0, 0, 0, 1};  // locally administered
constexpr Mac broadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

std::uint16_t read16(std::span<const std::uint8_t> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// `skip` bytes of the captured ones make room for an Ethernet header.
void wrap(std::span<const std::uint8_t> captured, std::size_t skip, std::uint16_t protocol, const Mac& to,
          const Mac& from, Packet& packet) {
    packet.frame.clear();
    packet.frame.insert(packet.frame.end(), to.begin(), to.end());
    packet.frame.insert(packet.frame.end(), from.begin(), from.end());
    packet.frame.push_back(static_cast<std::uint8_t>(protocol >> 8));
    packet.frame.push_back(static_cast<std::uint8_t>(protocol));
    packet.frame.insert(packet.frame.end(), captured.begin() + static_cast<std::ptrdiff_t>(skip),
                        captured.end());
    packet.length = packet.length - static_cast<std::uint32_t>(skip) + ETH_HLEN;
}

bool raw(std::span<const std::uint8_t> captured, std::size_t skip, const Mac& host, Packet& packet) {
    if (captured.size() <= skip) return false;
    const bool v6 = captured[skip] >> 4 == 6;
    wrap(captured, skip, v6 ? ETH_P_IPV6 : ETH_P_IP, host, nobody, packet);
    return true;
}

// A cooked packet says whom it was for instead of the address it was sent to.
bool cooked(std::span<const std::uint8_t> captured, bool second, const Mac& host, Packet& packet) {
    const std::size_t header = second ? 20 : 16;
    if (captured.size() < header) return false;
    const unsigned kind = second ? captured[10] : read16(captured, 0);
    const std::size_t length = second ? captured[11] : read16(captured, 4);
    const std::uint16_t protocol = read16(captured, second ? 0 : 14);
    Mac from = nobody;
    if (length == from.size()) std::copy_n(captured.begin() + (second ? 12 : 6), from.size(), from.begin());
    Mac to = host;
    if (kind == PACKET_BROADCAST) to = broadcast;
    if (kind == PACKET_MULTICAST) to = {0x01, 0, 0x5e, 0, 0, 1};
    if (kind == PACKET_OTHERHOST) to = nobody;
    packet.direction = kind == PACKET_OUTGOING ? Direction::sent : Direction::arrived;
    wrap(captured, header, protocol, to, from, packet);
    return true;
}

}  // namespace

bool link_type_known(int link_type) {
    constexpr int known[] = {link_null, link_ethernet, link_raw,    link_raw_file, link_loop,
                             link_ipv4, link_ipv6,     link_cooked, link_cooked2};
    return std::ranges::find(known, link_type) != std::end(known);
}

bool to_ethernet(int link_type, std::span<const std::uint8_t> captured, const Mac& host, Packet& packet) {
    packet.direction = Direction::arrived;
    switch (link_type) {
        case link_ethernet:
            if (captured.size() < ETH_HLEN) return false;
            packet.frame.assign(captured.begin(), captured.end());
            if (host != Mac{} && std::equal(host.begin(), host.end(), captured.begin() + ETH_ALEN))
                packet.direction = Direction::sent;
            return true;
        case link_cooked:
        case link_cooked2:
            return cooked(captured, link_type == link_cooked2, host, packet);
        case link_null:
        case link_loop:
            return raw(captured, 4, host, packet);
        case link_raw:
        case link_raw_file:
        case link_ipv4:
        case link_ipv6:
            return raw(captured, 0, host, packet);
        default:
            return false;
    }
}

}  // namespace synward::replay
