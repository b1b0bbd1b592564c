// SPDX-License-Identifier: GPL-2.0-or-later
// Packets composed from layers:
//
//     Packet syn = Ethernet{} / Ipv4{} / Tcp{.syn = true, .options = linux_syn_options()};
//     Bytes frame = syn.bytes();
//
// Lengths, next-header fields and checksums are filled in; every one of them can
// be overridden to compose what no honest sender would send.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "bytes.h"
#include "option.h"

namespace synward::bpf_test {

// The addresses that are used when a test does not care.
inline constexpr Mac kHostMac = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
inline constexpr Mac kPeerMac = {0x02, 0x00, 0x00, 0x00, 0x00, 0x02};
inline const Address kHost4 = {198, 18, 0, 1};
inline const Address kClient4 = {198, 18, 7, 99};
inline const Address kHost6 = address("2001:db8::1");
inline const Address kClient6 = address("2001:db8:7::99");

struct Ethernet {
    Mac destination = kHostMac;
    Mac source = kPeerMac;
    std::optional<unsigned> type = {};
};

struct Vlan {
    unsigned id = 100;
    unsigned priority = 0;
    unsigned tpid = 0x8100;  // 0x88a8 for a service tag
    std::optional<unsigned> type = {};
};

struct Ipv4 {
    Address source = kClient4;
    Address destination = kHost4;
    unsigned tos = 0;
    unsigned id = 0x1234;
    bool dont_fragment = true;
    bool more_fragments = false;
    unsigned offset = 0;  // of the fragment, in units of eight bytes
    unsigned ttl = 57;
    Bytes options = {};
    std::optional<unsigned> version = {};
    std::optional<unsigned> header_words = {};
    std::optional<unsigned> total_length = {};
    std::optional<unsigned> protocol = {};
};

struct Ipv6 {
    Address source = kClient6;
    Address destination = kHost6;
    unsigned traffic_class = 0;
    unsigned flow_label = 0xabcde;
    unsigned hop_limit = 57;
    std::optional<unsigned> version = {};
    std::optional<unsigned> payload_length = {};
    std::optional<unsigned> next_header = {};
};

// An IPv6 extension header; `body` follows the next-header and length bytes.
struct Extension {
    unsigned type = 60;
    Bytes body = Bytes(6);
    std::optional<unsigned> next_header = {};
    std::optional<unsigned> length = {};
};
Extension hop_by_hop(unsigned units = 0);  // 8 * (units + 1) bytes of PadN
Extension destination_options(unsigned units = 0);
Extension routing(unsigned units = 0);  // type 4, no segments left
Extension authentication();             // 24 bytes
Extension fragment(unsigned offset, bool more, std::uint32_t id = 0x01020304);

struct Tcp {
    unsigned source = 40000;
    unsigned destination = 80;
    std::uint32_t seq = 0x0a0b0c0d;
    std::uint32_t ack_seq = 0;
    bool fin = false;
    bool syn = false;
    bool rst = false;
    bool psh = false;
    bool ack = false;
    bool urg = false;
    bool ece = false;
    bool cwr = false;
    unsigned reserved = 0;  // the four bits beside the data offset
    unsigned window = 64240;
    unsigned urgent = 0;
    Bytes options = {};
    std::optional<unsigned> data_offset = {};  // in words
    std::optional<unsigned> checksum = {};
};

struct Udp {
    unsigned source = 40000;
    unsigned destination = 80;
};

struct Payload {
    Bytes bytes;
};

class Packet {
  public:
    using Layer = std::variant<Ethernet, Vlan, Ipv4, Ipv6, Extension, Tcp, Udp, Payload>;

    Packet() = default;
    template <typename T>
    requires std::is_constructible_v<Layer, T> &&(!std::is_same_v<std::decay_t<T>, Packet>)
        Packet(T&& layer)  // NOLINT: implicit, so that layers compose by `/`
        : layers_{Layer(std::forward<T>(layer))} {}

    [[nodiscard]] Bytes bytes() const;

    friend Packet operator/(Packet outer, const Packet& inner) {
        outer.layers_.insert(outer.layers_.end(), inner.layers_.begin(), inner.layers_.end());
        return outer;
    }

  private:
    std::vector<Layer> layers_;
};

}  // namespace synward::bpf_test
