// SPDX-License-Identifier: GPL-2.0-or-later
// What a frame is, read from the bytes by RFC 791, 8200 and 9293: the oracle's
// eyes, for what goes into the program and for what comes out.
#pragma once

#include <optional>

#include "abi/reasons.h"
#include "bytes.h"

namespace synward::bpf_test {

inline constexpr unsigned kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16, kUrg = 32, kEce = 64, kCwr = 128;

struct Segment {
    // Why the frame holds no TCP segment that can be judged; none: it does.
    std::optional<sw_reason> fault;
    std::optional<unsigned> port;  // destination port, where it could be read

    std::size_t ip = 0;         // offset of the IP header
    std::size_t transport = 0;  // offset of the TCP header
    std::size_t payload = 0;    // offset of the TCP payload
    std::size_t end = 0;        // of the IP packet: bytes behind it are Ethernet padding
    bool v6 = false;

    Mac mac_destination{};
    Address source, destination;
    unsigned source_port = 0;
    std::uint32_t seq = 0, ack_seq = 0;
    unsigned flags = 0;
    unsigned ttl = 0;  // or hop limit
    Bytes options;
};

inline constexpr unsigned kExtensionsFollowed = 6;

Segment dissect(View frame);

}  // namespace synward::bpf_test
