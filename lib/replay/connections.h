// SPDX-License-Identifier: GPL-2.0-or-later
// What the captured clients would have done: a client whose SYN the replay answers with
// a cookie acknowledges that cookie, not the number that the capture has.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>

#include "lib/escalation/event.h"

namespace synward::replay {

// What is read of a frame. `tcp` is the offset of the TCP header, 0 where none is whole.
struct View {
    FlowEvent packet{};
    bool ip = false;
    std::size_t l3 = 0;
    std::size_t tcp = 0;
};
// Ethernet, up to two VLAN tags, IP, TCP. Within bounds on any bytes.
[[nodiscard]] View read_frame(std::span<const std::uint8_t> frame);

// Connections of the capture by their first SYN. Bounded: the oldest are forgotten.
class Connections {
  public:
    explicit Connections(std::size_t most = 500'000) : most_(most / 2) {}

    enum class Origin {
        unknown,   // no SYN of it was seen
        answered,  // its SYN got a cookie
        passed,    // its SYN went to the kernel
    };

    // A SYN that was answered with `reply`, an Ethernet frame.
    void answered(const View& syn, std::span<const std::uint8_t> frame, std::span<const std::uint8_t> reply);
    // A SYN that passed.
    void passed(const View& syn);
    // The other side spoke: the kernel had the connection when it was captured.
    void spoken(const View& sent);

    // Tells what is known of a segment's connection. Where its SYN was answered, its
    // acknowledgement number and echoed timestamp are made those that the client would
    // have sent; checksums are left alone, since the program reads none.
    Origin follow(const View& view, std::span<std::uint8_t> frame);

  private:
    struct Key {
        RawAddress client, server;
        std::uint16_t client_port, server_port;
        sw_family family;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const;
    };
    struct Entry {
        Origin origin = Origin::unknown;
        bool joined = false;        // `shift` is known
        bool stamped = false;       // `stamp` is the timestamp of our SYN-ACK
        bool stamp_joined = false;  // `stamp_shift` is known
        std::uint32_t first = 0;    // the client's initial sequence number
        std::uint32_t cookie = 0;   // ours
        std::uint32_t shift = 0;    // our sequence numbers less those captured
        std::uint32_t stamp = 0;
        std::uint32_t stamp_shift = 0;
    };
    Entry* find(const Key& key);
    Entry& make(const Key& key);

    std::size_t most_;
    std::unordered_map<Key, Entry, Hash> fresh_, old_;
};

}  // namespace synward::replay
