// SPDX-License-Identifier: GPL-2.0-or-later
// Frames as vectors of bytes, with big-endian access that checks its bounds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace synward::bpf_test {

using Bytes = std::vector<std::uint8_t>;
using View = std::span<const std::uint8_t>;
using Mac = std::array<std::uint8_t, 6>;

// An IPv4 (4 bytes) or IPv6 (16 bytes) address in network byte order.
using Address = Bytes;

// Parses "198.18.0.1" or "2001:db8::1"; throws std::invalid_argument.
Address address(const std::string& text);

void put8(Bytes& to, unsigned value);
void put16(Bytes& to, unsigned value);       // big endian
void put32(Bytes& to, std::uint32_t value);  // big endian
void append(Bytes& to, View from);

// Big-endian loads and stores; std::out_of_range beyond the end.
std::uint8_t get8(View from, std::size_t offset);
std::uint16_t get16(View from, std::size_t offset);
std::uint32_t get32(View from, std::size_t offset);
void set8(Bytes& to, std::size_t offset, unsigned value);
void set16(Bytes& to, std::size_t offset, unsigned value);
void set32(Bytes& to, std::size_t offset, std::uint32_t value);

// RFC 1071 sum, complemented; `start` is a partial sum that was computed before.
std::uint16_t internet_checksum(View data, std::uint32_t start = 0);

// The sum of the TCP pseudo header (RFC 9293 3.1, RFC 8200 8.1), not complemented.
std::uint32_t pseudo_header(View source, View destination, std::size_t tcp_length);

// Sixteen bytes a line with offsets, for failure messages.
std::string hex(View data);

}  // namespace synward::bpf_test
