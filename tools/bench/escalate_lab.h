// SPDX-License-Identifier: GPL-2.0-or-later
// Packets that ask for the daemon, made at will: frames sent into one end of a
// veth pair come out of the other in a namespace where nft marks them, and are
// counted and dropped right behind the hook that holds them.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <vector>

#include "netns.h"

namespace synward::bench {

// Throws std::runtime_error. One thread sends; others may read `passed`.
class EscalateLab {
  public:
    EscalateLab();

    const Netns& netns() const { return netns_; }

    // Sends so many; each is held, or has gone on, when this returns. Source ports
    // follow each other from `next_port()`.
    void send(unsigned count);
    uint16_t next_port() const { return port_; }
    // Packets that came by the hook behind the one that holds: accepted, or never held.
    uint64_t passed() const;

  private:
    static constexpr unsigned kBurst = 64;  // frames of one system call

    Netns netns_;
    Fd socket_;
    std::vector<std::vector<uint8_t>> frames_;
    std::array<iovec, kBurst> vectors_{};
    std::array<mmsghdr, kBurst> headers_{};
    uint16_t port_ = 1024;
};

}  // namespace synward::bench
