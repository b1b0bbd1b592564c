// SPDX-License-Identifier: GPL-2.0-or-later
#include "escalate_lab.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "lib/abi/metadata.h"
#include "lib/abi/reasons.h"
#include "link.h"
#include "nft_counter.h"
#include "packet.h"
#include "process.h"

namespace synward::bench {
namespace {

constexpr size_t kPortOffset = 14 + 20;  // of an Ethernet frame with IPv4 without options
constexpr std::string_view kSource = "198.18.0.1", kDestination = "192.0.2.1";

// Conntrack and routing would cost the same for all, and much more than the rest.
std::string rules() {
    return fmt::format(
        "table ip bench {{\n"
        " counter passed {{ }}\n"
        " chain marks {{ type filter hook prerouting priority -300; meta mark set {} ; }}\n"
        " chain ends {{ type filter hook prerouting priority -298; counter name passed drop ; }}\n"
        "}}\n",
        SW_MARK_ESCALATE | SW_REASON_STRAY_ACK << SW_MARK_REASON_SHIFT);
}

}  // namespace

EscalateLab::EscalateLab() {
    netns_.ip("link add ba type veth peer name bb");
    netns_.sysctl("net/ipv6/conf/ba/disable_ipv6", "1");
    netns_.sysctl("net/ipv6/conf/bb/disable_ipv6", "1");
    netns_.ip("link set ba up");
    netns_.ip("link set bb up");
    netns_.ip(fmt::format("addr add {}/24 dev bb", kDestination));
    const Netns::Inside inside(netns_);
    run_command({"nft", "-f", "-"}, rules());

    const Link from = read_link("ba"), to = read_link("bb");
    socket_ = Fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    const sockaddr_ll address{.sll_family = AF_PACKET, .sll_ifindex = static_cast<int>(from.index)};
    const int bypass = 1;  // no qdisc: the frame is at the other end when send() returns
    if (!socket_ || bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        setsockopt(socket_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &bypass, sizeof(bypass)) != 0)
        throw std::runtime_error(fmt::format("cannot send frames by a packet socket: {}", strerror(errno)));
    const Segment segment{.to = to.mac,
                          .from = from.mac,
                          .source = parse_address(kSource),
                          .destination = parse_address(kDestination),
                          .source_port = 0,
                          .destination_port = 80,
                          .flags = kAck};
    frames_.assign(kBurst, compose(segment));
    for (unsigned i = 0; i < kBurst; ++i) {
        vectors_[i] = {.iov_base = frames_[i].data(), .iov_len = frames_[i].size()};
        headers_[i].msg_hdr.msg_iov = &vectors_[i];
        headers_[i].msg_hdr.msg_iovlen = 1;
    }
}

void EscalateLab::send(unsigned count) {
    while (count != 0) {
        const unsigned burst = std::min(count, kBurst);
        for (unsigned i = 0; i < burst; ++i) {
            const uint16_t port = htons(port_);
            memcpy(frames_[i].data() + kPortOffset, &port, sizeof(port));
            port_ = port_ == UINT16_MAX ? uint16_t{1024} : static_cast<uint16_t>(port_ + 1);
        }
        unsigned done = 0;
        while (done < burst) {
            const int sent = sendmmsg(socket_.get(), headers_.data() + done, burst - done, 0);
            if (sent < 0 && errno != EINTR && errno != ENOBUFS)
                throw std::runtime_error(fmt::format("cannot send a frame: {}", strerror(errno)));
            if (sent > 0) done += static_cast<unsigned>(sent);
        }
        count -= burst;
    }
}

uint64_t EscalateLab::passed() const {
    const Netns::Inside inside(netns_);
    return read_nft_counter(NFPROTO_IPV4, "bench", "passed");
}

}  // namespace synward::bench
