// SPDX-License-Identifier: GPL-2.0-or-later
// Capture files (pcap, pcapng) as Ethernet frames that arrive.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/result.h"

struct pcap;

namespace synward::replay {

using Mac = std::array<std::uint8_t, 6>;

enum class Direction { arrived, sent };

// One captured packet.
struct Packet {
    std::uint64_t number = 0;  // from 1, as other readers of capture files count
    std::int64_t time = 0;     // ns since 1970
    Direction direction = Direction::arrived;
    std::uint32_t length = 0;         // on the wire, as an Ethernet frame
    bool cut = false;                 // the capture has less than that (snaplen)
    std::vector<std::uint8_t> frame;  // what was captured of it
};

// Makes an Ethernet frame of what was captured under a link type (LINKTYPE_*, as
// libpcap's DLT_* on Linux): an IP packet gets a header to `host`, a cooked one
// keeps its sender. `host`, where it is not zero, also tells what was sent from what
// arrived. False if it is too short for its link type's header. Pure.
bool to_ethernet(int link_type, std::span<const std::uint8_t> captured, const Mac& host, Packet& packet);
// Whether to_ethernet() knows the link type.
[[nodiscard]] bool link_type_known(int link_type);

// Move-only.
class Capture {
  public:
    using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;
    // Of an open file, or a pipe, which messages call `name`. Code `usage`: it is no capture, or
    // one of a link type that has no IP packets.
    [[nodiscard]] static Result<Capture> read(Stream stream, const std::string& name, const Mac& host);

    // The next packet, into `packet`; false at the end. A file that ends within a packet
    // is an error, after all packets before it.
    [[nodiscard]] Result<bool> next(Packet& packet);
    [[nodiscard]] const std::string& link_type() const { return link_type_name_; }
    // Packets whose link header was not whole: skipped by next().
    [[nodiscard]] std::uint64_t unreadable() const { return unreadable_; }

  private:
    struct Close {
        void operator()(pcap* file) const;
    };
    using File = std::unique_ptr<pcap, Close>;
    Capture(File file, std::string name, const Mac& host);

    File file_;
    std::string name_;
    Mac host_;
    int link_type_;
    std::string link_type_name_;
    std::uint64_t count_ = 0;
    std::uint64_t unreadable_ = 0;
};

}  // namespace synward::replay
