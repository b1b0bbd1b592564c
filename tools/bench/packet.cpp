// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

namespace synward::bench {
namespace {

constexpr size_t kEthernet = 14;

void put16(std::vector<uint8_t>& out, uint32_t value) {
    out.push_back(static_cast<uint8_t>(value >> 8));
    out.push_back(static_cast<uint8_t>(value));
}

void put32(std::vector<uint8_t>& out, uint32_t value) {
    put16(out, value >> 16);
    put16(out, value);
}

void put(std::vector<uint8_t>& out, const uint8_t* bytes, size_t size) {
    out.insert(out.end(), bytes, bytes + size);
}

uint32_t get32(const uint8_t* at) {
    return uint32_t{at[0]} << 24 | uint32_t{at[1]} << 16 | uint32_t{at[2]} << 8 | at[3];
}

// One's complement sum of 16-bit words as they lie in memory, so that the BPF programs can add
// fields as they lie in memory too (RFC 1071, section 2 B).
uint32_t sum_words(const uint8_t* bytes, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) {
        const uint8_t pair[2] = {bytes[i], i + 1 < size ? bytes[i + 1] : uint8_t{0}};
        uint16_t word;
        memcpy(&word, pair, sizeof(word));
        sum += word;
    }
    return sum;
}

uint16_t fold(uint32_t sum) {
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

struct Composed {
    std::vector<uint8_t> frame;
    size_t tcp = 0;
    uint32_t ip_sum = 0;
    uint32_t tcp_sum = 0;
};

void put_ip4(std::vector<uint8_t>& out, const Segment& segment, size_t tcp_size) {
    put16(out, 0x4500);
    put16(out, static_cast<uint32_t>(20 + tcp_size));
    put16(out, segment.fragment ? 0x1234 : 0);
    put16(out, segment.fragment ? 0x2000 : 0x4000);  // more fragments, or don't fragment
    out.push_back(segment.ttl);
    out.push_back(6);
    put16(out, 0);
    put(out, segment.source.bytes.data(), 4);
    put(out, segment.destination.bytes.data(), 4);
}

void put_ip6(std::vector<uint8_t>& out, const Segment& segment, size_t tcp_size) {
    put32(out, 0x60000000);
    put16(out, static_cast<uint32_t>(tcp_size + (segment.fragment ? 8 : 0)));
    out.push_back(segment.fragment ? 44 : 6);
    out.push_back(segment.ttl);
    put(out, segment.source.bytes.data(), 16);
    put(out, segment.destination.bytes.data(), 16);
    if (!segment.fragment) return;
    out.push_back(6);
    out.push_back(0);
    put16(out, 0x0001);  // offset 0, more fragments
    put32(out, 0x12345678);
}

Composed compose_parts(const Segment& segment) {
    if (segment.source.family != segment.destination.family)
        throw std::runtime_error("source and destination must be of one address family");
    Composed parts;
    auto& out = parts.frame;
    const bool v4 = segment.destination.family == SW_IPV4;
    const size_t tcp_size = 20 + segment.options.size() + segment.payload.size();
    put(out, segment.to.data(), 6);
    put(out, segment.from.data(), 6);
    put16(out, v4 ? 0x0800 : 0x86dd);
    if (v4)
        put_ip4(out, segment, tcp_size);
    else
        put_ip6(out, segment, tcp_size);
    parts.tcp = out.size();
    put16(out, segment.source_port);
    put16(out, segment.destination_port);
    put32(out, segment.sequence);
    put32(out, segment.acknowledgement);
    out.push_back(static_cast<uint8_t>((20 + segment.options.size()) / 4 << 4));
    out.push_back(segment.flags);
    put16(out, segment.window);
    put32(out, 0);
    put(out, segment.options.data(), segment.options.size());
    put(out, segment.payload.data(), segment.payload.size());
    if (out.size() >= BENCH_FRAME)
        throw std::runtime_error(fmt::format("a frame of {} bytes exceeds {}", out.size(), BENCH_FRAME - 1));

    if (v4) parts.ip_sum = sum_words(&out[kEthernet], 20);
    std::vector<uint8_t> pseudo;
    put(pseudo, segment.source.bytes.data(), size_of(segment.source));
    put(pseudo, segment.destination.bytes.data(), size_of(segment.destination));
    put32(pseudo, static_cast<uint32_t>(tcp_size));
    put32(pseudo, 6);
    parts.tcp_sum = sum_words(pseudo.data(), pseudo.size()) + sum_words(&out[parts.tcp], tcp_size);
    return parts;
}

}  // namespace

std::vector<uint8_t> compose(const Segment& segment) {
    auto parts = compose_parts(segment);
    const uint16_t ip = fold(parts.ip_sum), tcp = fold(parts.tcp_sum);
    if (segment.destination.family == SW_IPV4) memcpy(&parts.frame[kEthernet + 10], &ip, 2);
    memcpy(&parts.frame[parts.tcp + 16], &tcp, 2);
    return parts.frame;
}

bench_template make_template(const Segment& segment) {
    const auto parts = compose_parts(segment);
    bench_template result{};
    memcpy(result.frame, parts.frame.data(), parts.frame.size());
    result.length = static_cast<uint32_t>(parts.frame.size());
    result.tcp = static_cast<uint32_t>(parts.tcp);
    result.ip_sum = parts.ip_sum;
    result.tcp_sum = parts.tcp_sum;
    return result;
}

// Timestamp values are arbitrary; MSS 1460, window scale 7 (Linux), 8 (Windows), 6 (macOS).
const std::vector<Layout>& usual_layouts() {
    static const std::vector<Layout> layouts = {
        {"linux", {2, 4, 5, 0xb4, 4, 2, 8, 10, 0x1a, 0x2b, 0x3c, 0x4d, 0, 0, 0, 0, 1, 3, 3, 7}},
        {"windows", {2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2}},
        {"macos", {2, 4, 5, 0xb4, 1, 3, 3, 6, 1, 1, 8, 10, 0x1a, 0x2b, 0x3c, 0x4d, 0, 0, 0, 0, 4, 2, 0, 0}},
        {"mss-only", {2, 4, 5, 0xb4}},
    };
    return layouts;
}

const Layout& odd_layout() {
    return odd_layouts().front();
}

const std::vector<Layout>& odd_layouts() {
    static const std::vector<Layout> layouts = {
        {"odd", {8, 10, 0x1a, 0x2b, 0x3c, 0x4d, 0, 0, 0, 0, 3, 3, 7, 4, 2, 1, 2, 4, 5, 0xb4}},
        {"odd-nops", {1, 1, 4, 2, 1, 1, 1, 3, 3, 7, 1, 1, 1, 1, 2, 4, 5, 0xb4, 0, 0}},
        {"odd-unknown", {253, 8, 1, 2, 3, 4, 5, 6, 2, 4, 5, 0xb4, 254, 4, 0, 0, 1, 3, 3, 14}},
        {"odd-twice", {2, 4, 5, 0xb4, 2, 4, 2, 0, 3, 3, 9, 3, 3, 2, 4, 2, 4, 2, 0, 0}},
    };
    return layouts;
}

std::vector<uint8_t> timestamp_options(uint32_t value, uint32_t echo) {
    std::vector<uint8_t> options = {1, 1, 8, 10};
    put32(options, value);
    put32(options, echo);
    return options;
}

bool read_reply(const std::vector<uint8_t>& frame, Reply& reply) {
    if (frame.size() < kEthernet + 40) return false;
    const bool v4 = frame[12] == 0x08 && frame[13] == 0x00;
    const size_t ip = kEthernet, tcp = v4 ? ip + (frame[ip] & 15) * 4u : ip + 40;
    if (frame[v4 ? ip + 9 : ip + 6] != 6 || frame.size() < tcp + 20) return false;
    const size_t end = tcp + (frame[tcp + 12] >> 4) * 4u;
    if (end < tcp + 20 || frame.size() < end) return false;
    reply = {frame[tcp + 13], get32(&frame[tcp + 4]), get32(&frame[tcp + 8])};
    for (size_t at = tcp + 20; at + 1 < end && frame[at] != 0;) {
        if (frame[at] == 1) {
            ++at;
            continue;
        }
        if (frame[at] == 8 && frame[at + 1] == 10 && at + 10 <= end) {
            reply.has_timestamp = true;
            reply.timestamp = get32(&frame[at + 2]);
        }
        if (frame[at + 1] < 2) break;
        at += frame[at + 1];
    }
    return true;
}

}  // namespace synward::bench
