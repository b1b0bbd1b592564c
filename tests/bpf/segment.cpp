// SPDX-License-Identifier: GPL-2.0-or-later
#include "segment.h"

#include <algorithm>

namespace synward::bpf_test {

namespace {

constexpr unsigned kTcp = 6;

Address cut(View frame, std::size_t offset, std::size_t length) {
    const View part = frame.subspan(offset, length);
    return {part.begin(), part.end()};
}

// What is malformed, or the first of fragments, is judged by the service of its
// port if the frame has room for a TCP header; otherwise no port is known.
void read_port(Segment& s, View frame) {
    if (frame.size() >= s.transport + 20) s.port = get16(frame, s.transport + 2);
}

Segment& fail(Segment& s, sw_reason reason) {
    s.fault = reason;
    return s;
}

void read_tcp(Segment& s, View frame) {
    const std::size_t left = s.end - s.transport;
    read_port(s, frame);
    if (left < 20) {
        fail(s, SW_REASON_BAD_TCP);
        return;
    }
    const std::size_t header = 4u * (get8(frame, s.transport + 12) >> 4);
    if (header < 20 || header > left) {
        fail(s, SW_REASON_BAD_TCP);
        return;
    }
    s.source_port = get16(frame, s.transport);
    s.seq = get32(frame, s.transport + 4);
    s.ack_seq = get32(frame, s.transport + 8);
    s.flags = get8(frame, s.transport + 13);
    s.options = cut(frame, s.transport + 20, header - 20);
    s.payload = s.transport + header;
}

void read_ipv4(Segment& s, View frame) {
    const std::size_t left = frame.size() - s.ip;
    if (left < 20) {
        fail(s, SW_REASON_BAD_IP);
        return;
    }
    const std::size_t header = 4u * (get8(frame, s.ip) & 15), total = get16(frame, s.ip + 2);
    if (get8(frame, s.ip) >> 4 != 4 || header < 20 || total < header || total > left) {
        fail(s, SW_REASON_BAD_IP);
        return;
    }
    s.ttl = get8(frame, s.ip + 8);
    s.source = cut(frame, s.ip + 12, 4);
    s.destination = cut(frame, s.ip + 16, 4);
    s.transport = s.ip + header;
    s.end = s.ip + total;
    if (get8(frame, s.ip + 9) != kTcp) {
        fail(s, SW_REASON_NOT_TCP);
        return;
    }
    const unsigned fragment = get16(frame, s.ip + 6) & 0x3fff;
    if (fragment) {
        if (!(fragment & 0x1fff)) read_port(s, frame);
        fail(s, SW_REASON_FRAGMENT);
        return;
    }
    read_tcp(s, frame);
}

bool is_extension(unsigned type) {
    return type == 0 || type == 43 || type == 44 || type == 51 || type == 60;
}

void read_ipv6(Segment& s, View frame) {
    const std::size_t left = frame.size() - s.ip;
    if (left < 40 || get8(frame, s.ip) >> 4 != 6 || 40u + get16(frame, s.ip + 4) > left) {
        fail(s, SW_REASON_BAD_IP);
        return;
    }
    s.v6 = true;
    s.ttl = get8(frame, s.ip + 7);
    s.source = cut(frame, s.ip + 8, 16);
    s.destination = cut(frame, s.ip + 24, 16);
    s.end = s.ip + 40 + get16(frame, s.ip + 4);
    s.transport = s.ip + 40;
    unsigned next = get8(frame, s.ip + 6);
    bool first_of_many = false;
    for (unsigned count = 0; is_extension(next); ++count) {
        if (count == kExtensionsFollowed || s.transport + 8 > s.end) {
            fail(s, SW_REASON_BAD_EXTENSION);
            return;
        }
        const unsigned type = next;
        std::size_t length = 8u * (get8(frame, s.transport + 1) + 1u);
        if (type == 51) length = 4u * (get8(frame, s.transport + 1) + 2u);
        if (type == 44) length = 8;
        if (s.transport + length > s.end) {
            fail(s, SW_REASON_BAD_EXTENSION);
            return;
        }
        next = get8(frame, s.transport);
        const unsigned fragment = type == 44 ? get16(frame, s.transport + 2) : 0;
        s.transport += length;
        if (fragment & 0xfff8) {  // what follows is the middle of something
            fail(s, next == kTcp || is_extension(next) ? SW_REASON_FRAGMENT : SW_REASON_NOT_TCP);
            return;
        }
        first_of_many |= fragment & 1;
    }
    if (next != kTcp) {
        fail(s, SW_REASON_NOT_TCP);
        return;
    }
    if (first_of_many) {
        read_port(s, frame);
        fail(s, SW_REASON_FRAGMENT);
        return;
    }
    read_tcp(s, frame);
}

}  // namespace

Segment dissect(View frame) {
    Segment s;
    std::copy_n(frame.begin(), 6, s.mac_destination.begin());
    s.ip = 14;
    unsigned type = get16(frame, 12);
    for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); ++tags) {
        if (frame.size() < s.ip + 4) return fail(s, SW_REASON_BAD_ETHERNET);
        type = get16(frame, s.ip + 2);
        s.ip += 4;
    }
    if (type == 0x0800)
        read_ipv4(s, frame);
    else if (type == 0x86dd)
        read_ipv6(s, frame);
    else
        fail(s, SW_REASON_NOT_IP);
    return s;
}

}  // namespace synward::bpf_test
