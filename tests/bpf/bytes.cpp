// SPDX-License-Identifier: GPL-2.0-or-later
#include "bytes.h"

#include <arpa/inet.h>

#include <cstdio>
#include <stdexcept>

namespace synward::bpf_test {

Address address(const std::string& text) {
    Address result(16);
    if (inet_pton(AF_INET6, text.c_str(), result.data()) == 1) return result;
    result.resize(4);
    if (inet_pton(AF_INET, text.c_str(), result.data()) == 1) return result;
    throw std::invalid_argument("not an IP address: " + text);
}

void put8(Bytes& to, unsigned value) {
    to.push_back(static_cast<std::uint8_t>(value));
}

void put16(Bytes& to, unsigned value) {
    put8(to, value >> 8);
    put8(to, value);
}

void put32(Bytes& to, std::uint32_t value) {
    put16(to, value >> 16);
    put16(to, value);
}

void append(Bytes& to, View from) {
    to.insert(to.end(), from.begin(), from.end());
}

std::uint8_t get8(View from, std::size_t offset) {
    if (offset >= from.size()) throw std::out_of_range("read beyond the frame");
    return from[offset];
}

std::uint16_t get16(View from, std::size_t offset) {
    return static_cast<std::uint16_t>(get8(from, offset) << 8 | get8(from, offset + 1));
}

std::uint32_t get32(View from, std::size_t offset) {
    return static_cast<std::uint32_t>(get16(from, offset)) << 16 | get16(from, offset + 2);
}

void set8(Bytes& to, std::size_t offset, unsigned value) {
    to.at(offset) = static_cast<std::uint8_t>(value);
}

void set16(Bytes& to, std::size_t offset, unsigned value) {
    set8(to, offset, value >> 8);
    set8(to, offset + 1, value);
}

void set32(Bytes& to, std::size_t offset, std::uint32_t value) {
    set16(to, offset, value >> 16);
    set16(to, offset + 2, value);
}

namespace {

std::uint32_t sum(View data, std::uint32_t start) {
    std::uint64_t total = start;
    for (std::size_t i = 0; i < data.size(); i += 2) {
        total += static_cast<unsigned>(data[i]) << 8;
        if (i + 1 < data.size()) total += data[i + 1];
    }
    while (total >> 16) total = (total & 0xffff) + (total >> 16);
    return static_cast<std::uint32_t>(total);
}

}  // namespace

std::uint16_t internet_checksum(View data, std::uint32_t start) {
    return static_cast<std::uint16_t>(~sum(data, start));
}

std::uint32_t pseudo_header(View source, View destination, std::size_t tcp_length) {
    Bytes header(source.begin(), source.end());
    append(header, destination);
    put32(header, static_cast<std::uint32_t>(tcp_length));
    put32(header, 6);
    return sum(header, 0);
}

std::string hex(View data) {
    std::string text;
    char part[32];
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (i % 16 == 0) {
            std::snprintf(part, sizeof part, "%s  %04zx ", i ? "\n" : "", i);
            text += part;
        }
        std::snprintf(part, sizeof part, " %02x", data[i]);
        text += part;
    }
    return text + "\n  (" + std::to_string(data.size()) + " bytes)\n";
}

}  // namespace synward::bpf_test
