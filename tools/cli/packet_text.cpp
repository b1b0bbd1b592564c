// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/packet_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <cstring>
#include <ctime>

#include "lib/address.h"
#include "lib/escalation/packet_reader.h"

namespace synward::cli {
namespace {

std::uint32_t read32(std::span<const std::uint8_t> bytes, std::size_t at) {
    std::uint32_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    return ntohl(word);
}

std::string address_text(sw_family family, const RawAddress& raw) {
    Address address{family, {}};
    std::memcpy(address.bytes.data(), raw.data(), sizeof raw);
    return address.to_string();
}

std::string end_text(const FlowEvent& packet, const RawAddress& address, std::uint16_t port, bool tcp) {
    const std::string text = address_text(packet.family, address);
    if (!tcp) return text;
    return packet.family == SW_IPV4 ? fmt::format("{}:{}", text, port) : fmt::format("[{}]:{}", text, port);
}

std::string time_text(std::int64_t time) {
    const std::time_t seconds = time / 1'000'000'000;
    std::tm local{};
    localtime_r(&seconds, &local);
    return fmt::format("{:02}:{:02}:{:02}.{:06}", local.tm_hour, local.tm_min, local.tm_sec,
                       time % 1'000'000'000 / 1000);
}

struct Reply {
    std::uint32_t seq = 0, ack = 0;
    std::uint16_t window = 0;
    std::uint8_t flags = 0;
    struct options found {};
};

Reply read_reply(std::span<const std::uint8_t> frame) {
    const replay::View view = replay::read_frame(frame);
    Reply reply;
    if (!view.tcp) return reply;
    reply.seq = read32(frame, view.tcp + 4);
    reply.ack = read32(frame, view.tcp + 8);
    reply.window = view.packet.window;
    reply.flags = view.packet.tcp_flags;
    const std::size_t header = std::size_t{frame[view.tcp + 12]} >> 4 << 2;
    if (header < packet_reader::tcp_header || view.tcp + header > frame.size()) return reply;
    options_any(frame.data() + view.tcp + packet_reader::tcp_header, frame.data() + frame.size(),
                static_cast<std::uint32_t>(header - packet_reader::tcp_header), &reply.found);
    return reply;
}

}  // namespace

std::string flags_text(std::uint8_t flags) {
    constexpr std::pair<std::uint8_t, char> letters[] = {{0x02, 'S'}, {0x01, 'F'}, {0x04, 'R'}, {0x08, 'P'},
                                                         {0x20, 'U'}, {0x80, 'W'}, {0x40, 'E'}, {0x10, '.'}};
    std::string text;
    for (const auto& [bit, letter] : letters)
        if (flags & bit) text += letter;
    return text.empty() ? "none" : text;
}

std::string packet_text(const replay::Packet& packet, const replay::View& view) {
    const FlowEvent& p = view.packet;
    std::string what;
    if (!view.ip)
        what = fmt::format("frame of {} bytes", packet.length);
    else
        what = fmt::format(
            "{} > {} {}", end_text(p, p.source, p.source_port, view.tcp),
            end_text(p, p.destination, p.destination_port, view.tcp),
            view.tcp ? fmt::format("[{}]", flags_text(p.tcp_flags)) : fmt::format("protocol {}", p.protocol));
    return fmt::format("{} {} {}", packet.number, time_text(packet.time), what);
}

nlohmann::json packet_json(const replay::Packet& packet, const replay::View& view) {
    const FlowEvent& p = view.packet;
    nlohmann::json json{{"number", packet.number},
                        {"time", static_cast<double>(packet.time) / 1e9},
                        {"length", packet.length}};
    if (view.ip) {
        json["source"] = address_text(p.family, p.source);
        json["destination"] = address_text(p.family, p.destination);
        json["protocol"] = p.protocol;
    }
    if (view.tcp) {
        json["source_port"] = p.source_port;
        json["destination_port"] = p.destination_port;
        json["flags"] = flags_text(p.tcp_flags);
    }
    return json;
}

std::string reply_text(std::span<const std::uint8_t> frame) {
    const Reply reply = read_reply(frame);
    std::string text =
        fmt::format("[{}] seq {} ack {} win {}", flags_text(reply.flags), reply.seq, reply.ack, reply.window);
    if (reply.found.mss) text += fmt::format(" mss {}", reply.found.mss);
    if (reply.found.found & SW_OPTION_SACK) text += " sackOK";
    if (reply.found.found & SW_OPTION_TIMESTAMP) text += " TS";
    if (reply.found.found & SW_OPTION_WSCALE) text += fmt::format(" wscale {}", reply.found.wscale);
    return text;
}

nlohmann::json reply_json(std::span<const std::uint8_t> frame) {
    const Reply reply = read_reply(frame);
    nlohmann::json json{{"flags", flags_text(reply.flags)},
                        {"seq", reply.seq},
                        {"ack", reply.ack},
                        {"window", reply.window},
                        {"mss", reply.found.mss},
                        {"sack", (reply.found.found & SW_OPTION_SACK) != 0},
                        {"timestamps", (reply.found.found & SW_OPTION_TIMESTAMP) != 0}};
    json["wscale"] =
        reply.found.found & SW_OPTION_WSCALE ? nlohmann::json(reply.found.wscale) : nlohmann::json();
    return json;
}

bool headers_whole(const replay::View& view, std::span<const std::uint8_t> frame) {
    // What is no IP is not read any further; an IP header that is not whole is nothing to go by.
    if (!view.l3) return frame.size() >= 18;
    if (!view.ip) return false;
    if (view.packet.protocol != IPPROTO_TCP) return true;
    return view.tcp && view.tcp + (std::size_t{frame[view.tcp + 12]} >> 4 << 2) <= frame.size();
}

}  // namespace synward::cli
