// SPDX-License-Identifier: GPL-2.0-or-later
// Composes the TCP frames that the benchmarks send, and templates of them.
#pragma once

#include <string_view>
#include <vector>

#include "bpf/template.h"
#include "network.h"

namespace synward::bench {

enum TcpFlags : uint8_t { kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10 };

struct Segment {
    Mac to{0x02, 0, 0, 0, 0, 0x01};
    Mac from{0x02, 0, 0, 0, 0, 0x02};
    Address source;
    Address destination;
    uint16_t source_port = 0;  // host byte order, as all below
    uint16_t destination_port = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    uint8_t flags = kSyn;
    uint16_t window = 64240;
    uint8_t ttl = 64;
    bool fragment = false;         // first fragment of a larger packet
    std::vector<uint8_t> options;  // padded by the caller to a multiple of four
    std::vector<uint8_t> payload;
};

// The whole frame with valid checksums. Throws when it exceeds BENCH_FRAME.
std::vector<uint8_t> compose(const Segment& segment);

// The frame and the sums that a BPF program adds its varying fields to: source address,
// source port, sequence and acknowledgement number of `segment` must be zero where they vary.
bench_template make_template(const Segment& segment);

// Option layouts of SYNs as operating systems send them.
struct Layout {
    std::string_view name;  // for tables and JSON
    std::vector<uint8_t> options;
};
const std::vector<Layout>& usual_layouts();
const Layout& odd_layout();
const std::vector<Layout>& odd_layouts();  // of equal length

// NOP NOP timestamp: the options of every segment after a SYN that negotiated them.
std::vector<uint8_t> timestamp_options(uint32_t value, uint32_t echo);

// What a reply says. `frame` is an Ethernet frame; false if it is no TCP segment.
struct Reply {
    uint8_t flags = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    bool has_timestamp = false;
    uint32_t timestamp = 0;
};
bool read_reply(const std::vector<uint8_t>& frame, Reply& reply);

}  // namespace synward::bench
