// SPDX-License-Identifier: GPL-2.0-or-later
// What `synward replay` does before and after the program: link types, and clients that
// go on as they would have.
#include <arpa/inet.h>
#include <gmock/gmock.h>

#include <cstring>

#include "lib/replay/capture.h"
#include "lib/replay/connections.h"
#include "lib/replay/link_type.h"

namespace synward::replay {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr Mac host{0x02, 0, 0, 0, 0, 0x10};
constexpr Mac other{0x02, 0, 0, 0, 0, 0x20};

void put32(Bytes& to, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<std::uint8_t>(value >> shift));
}

// From client port 4711 to port 80, or the other way round; with a timestamp option.
Bytes ip(bool from_client, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack, std::uint32_t tsval,
         std::uint32_t tsecr) {
    Bytes b{0x45, 0, 0, 52, 0, 0, 0, 0, 64, 6, 0, 0};
    put32(b, from_client ? 0xc0000202 : 0xc0000201);
    put32(b, from_client ? 0xc0000201 : 0xc0000202);
    put32(b, from_client ? 4711u << 16 | 80 : 80u << 16 | 4711);
    put32(b, seq);
    put32(b, ack);
    b.insert(b.end(), {0x80, flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10});
    put32(b, tsval);
    put32(b, tsecr);
    return b;
}

Bytes ethernet(const Bytes& packet, std::size_t tags = 0, const Mac& from = other) {
    Bytes b(host.begin(), host.end());
    b.insert(b.end(), from.begin(), from.end());
    for (std::size_t i = 0; i < tags; i++) b.insert(b.end(), {0x81, 0, 0, 7});
    b.insert(b.end(), {8, 0});
    b.insert(b.end(), packet.begin(), packet.end());
    return b;
}

std::uint32_t word(const Bytes& b, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, &b[at], 4);
    return ntohl(value);
}

Packet convert(int type, const Bytes& bytes, bool wanted = true, const Mac& mac = host) {
    Packet packet;
    packet.length = static_cast<std::uint32_t>(bytes.size());
    EXPECT_EQ(to_ethernet(type, bytes, mac, packet), wanted);
    return packet;
}

TEST(ReplayLink, EveryLinkTypeBecomesTheSameFrame) {
    const Bytes packet = ip(true, 2, 1, 0, 0, 0);
    const Bytes frame = ethernet(packet);
    Bytes cooked{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0x20, 0, 0, 8, 0};
    cooked.insert(cooked.end(), packet.begin(), packet.end());
    Bytes cooked2{8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0x20, 0, 0};
    cooked2.insert(cooked2.end(), packet.begin(), packet.end());
    Bytes null{2, 0, 0, 0};
    null.insert(null.end(), packet.begin(), packet.end());
    EXPECT_EQ(convert(link_ethernet, frame).frame, frame);
    EXPECT_EQ(convert(link_cooked, cooked).frame, frame);
    EXPECT_EQ(convert(link_cooked2, cooked2).frame, frame);
    for (const auto& [type, bytes] : {std::pair{link_raw, packet}, {link_ipv4, packet}, {link_null, null}}) {
        const Packet made = convert(type, bytes);
        EXPECT_EQ(Bytes(made.frame.begin() + 12, made.frame.end()), Bytes(frame.begin() + 12, frame.end()));
        EXPECT_EQ(made.length, frame.size());
    }
}

TEST(ReplayLink, WhatWasSentIsToldApart) {
    const Bytes packet = ip(false, 0x12, 1, 2, 0, 0);
    EXPECT_EQ(convert(link_ethernet, ethernet(packet, 0, host)).direction, Direction::sent);
    EXPECT_EQ(convert(link_ethernet, ethernet(packet, 0, other)).direction, Direction::arrived);
    EXPECT_EQ(convert(link_ethernet, ethernet(packet, 0, host), true, Mac{}).direction, Direction::arrived);
    Bytes cooked{0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0x10, 0, 0, 8, 0};
    cooked.insert(cooked.end(), packet.begin(), packet.end());
    EXPECT_EQ(convert(link_cooked, cooked).direction, Direction::sent);
}

TEST(ReplayLink, TooShortForItsHeader) {
    for (const int type : {link_ethernet, link_cooked, link_cooked2, link_raw, link_null, link_loop}) {
        convert(type, {}, false);
        convert(type, Bytes(type == link_raw ? 0 : 4), false);
    }
    EXPECT_FALSE(link_type_known(105));  // 802.11
}

TEST(ReplayView, FindsTheSegmentBehindTags) {
    for (std::size_t tags = 0; tags <= 2; tags++) {
        const View view = read_frame(ethernet(ip(true, 2, 1, 0, 0, 0), tags));
        ASSERT_TRUE(view.ip);
        EXPECT_EQ(view.tcp, 14 + 4 * tags + 20);
        EXPECT_EQ(view.packet.source_port, 4711);
    }
    EXPECT_FALSE(read_frame(ethernet(ip(true, 2, 1, 0, 0, 0), 3)).ip);
    Bytes frame = ethernet(ip(true, 2, 1, 0, 0, 0));
    frame.resize(14 + 20 + 19);
    EXPECT_TRUE(read_frame(frame).ip);
    EXPECT_EQ(read_frame(frame).tcp, 0u);
}

class ReplayConnection : public ::testing::Test {
  protected:
    static constexpr std::size_t ack_at = 14 + 20 + 8;
    static constexpr std::size_t echo_at = 14 + 20 + 20 + 8;
    void answer(std::uint32_t first, std::uint32_t cookie, std::uint32_t stamp) {
        const Bytes syn = ethernet(ip(true, 2, first, 0, 500, 0));
        connections.answered(read_frame(syn), syn, ethernet(ip(false, 0x12, cookie, first + 1, stamp, 500)));
    }
    Connections::Origin follow(Bytes& frame) { return connections.follow(read_frame(frame), frame); }
    Connections connections;
};

TEST_F(ReplayConnection, TheClientAcknowledgesTheCookie) {
    answer(1000, 77'000, 9'000);
    Bytes ack = ethernet(ip(true, 0x10, 1001, 5001, 501, 300));
    EXPECT_EQ(follow(ack), Connections::Origin::answered);
    EXPECT_EQ(word(ack, ack_at), 77'001u);
    EXPECT_EQ(word(ack, echo_at), 9'000u);
    Bytes data = ethernet(ip(true, 0x18, 1101, 5101, 502, 310));
    follow(data);
    EXPECT_EQ(word(data, ack_at), 77'101u);
    EXPECT_EQ(word(data, echo_at), 9'010u);
}

TEST_F(ReplayConnection, WhatDoesNotEndTheHandshakeIsLeftAlone) {
    answer(1000, 77'000, 9'000);
    Bytes forged = ethernet(ip(true, 0x10, 4242, 5001, 501, 300));
    const Bytes before = forged;
    follow(forged);
    EXPECT_EQ(forged, before);
    Bytes reset = ethernet(ip(true, 0x04, 1001, 0, 501, 300));
    const Bytes as_it_was = reset;
    follow(reset);
    EXPECT_EQ(reset, as_it_was);
}

TEST_F(ReplayConnection, ARetransmittedSynBeginsAnew) {
    answer(1000, 77'000, 9'000);
    Bytes ack = ethernet(ip(true, 0x10, 1001, 5001, 501, 300));
    follow(ack);
    answer(2000, 88'000, 9'500);
    ack = ethernet(ip(true, 0x10, 2001, 6001, 501, 300));
    follow(ack);
    EXPECT_EQ(word(ack, ack_at), 88'001u);
}

TEST_F(ReplayConnection, OriginIsTold) {
    Bytes data = ethernet(ip(true, 0x18, 1, 2, 0, 0));
    EXPECT_EQ(follow(data), Connections::Origin::unknown);
    connections.spoken(read_frame(ethernet(ip(false, 0x18, 2, 1, 0, 0))));
    EXPECT_EQ(follow(data), Connections::Origin::passed);
    answer(0, 5, 0);
    connections.spoken(read_frame(ethernet(ip(false, 0x18, 2, 1, 0, 0))));
    EXPECT_EQ(follow(data), Connections::Origin::answered);
}

TEST_F(ReplayConnection, MemoryIsBoundedAndWhatIsInUseStays) {
    connections = Connections(8);
    answer(1000, 77'000, 9'000);
    for (unsigned i = 0; i < 40; i++) {
        Bytes syn = ethernet(ip(true, 2, 1, 0, 0, 0));
        syn[14 + 15] = static_cast<std::uint8_t>(100 + i);
        connections.passed(read_frame(syn));
        Bytes ack = ethernet(ip(true, 0x10, 1001, 5001, 501, 300));
        ASSERT_EQ(follow(ack), Connections::Origin::answered) << i;
        ASSERT_EQ(word(ack, ack_at), 77'001u);
    }
    Bytes first = ethernet(ip(true, 0x10, 1, 2, 0, 0));
    first[14 + 15] = 100;
    EXPECT_EQ(follow(first), Connections::Origin::unknown);
}

}  // namespace
}  // namespace synward::replay
