// SPDX-License-Identifier: GPL-2.0-or-later
// Captured packets in words, as tcpdump(8) has them.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "lib/replay/capture.h"
#include "lib/replay/connections.h"

namespace synward::cli {

inline constexpr std::uint8_t flag_syn = 0x02;
inline constexpr std::uint8_t flag_rst = 0x04;
inline constexpr std::uint8_t flag_ack = 0x10;
inline constexpr std::size_t most_frame = 65'549;  // an IP packet of 64 KiB, and its Ethernet header

// "7 12:30:01.000123 203.0.113.7:4711 > 192.0.2.1:443 [S]"
[[nodiscard]] std::string packet_text(const replay::Packet& packet, const replay::View& view);
[[nodiscard]] nlohmann::json packet_json(const replay::Packet& packet, const replay::View& view);
// A SYN-ACK: "[S.] seq 1 ack 2 win 65160 mss 1460 sackOK TS wscale 7"
[[nodiscard]] std::string reply_text(std::span<const std::uint8_t> frame);
[[nodiscard]] nlohmann::json reply_json(std::span<const std::uint8_t> frame);
// "S.", "P.", "R", ".", "none"
[[nodiscard]] std::string flags_text(std::uint8_t flags);
// Whether everything that the program reads of a packet was captured.
[[nodiscard]] bool headers_whole(const replay::View& view, std::span<const std::uint8_t> frame);

}  // namespace synward::cli
