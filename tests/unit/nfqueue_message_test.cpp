// SPDX-License-Identifier: GPL-2.0-or-later
// Messages of nfnetlink_queue, made and read without a kernel.
#include "lib/escalation/nfqueue_message.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include <array>
#include <climits>
#include <cstring>
#include <vector>

namespace synward {
namespace {

const std::vector<std::uint8_t> segment = {0x45, 0, 0,   40, 0,    1,    0,    0,    64, 6,    0, 0, 198, 18,
                                           0,    1, 192, 0,  2,    1,    0,    9,    1,  0xbb, 1, 1, 1,   1,
                                           2,    2, 2,   2,  0x50, 0x10, 0x10, 0x00, 0,  0,    0, 0};

class Message {
  public:
    explicit Message(std::uint16_t type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)
        : header_(mnl_nlmsg_put_header(buffer_.data())) {
        header_->nlmsg_type = type;
        mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg));
    }
    Message& id(std::uint32_t id) {
        const nfqnl_msg_packet_hdr packet{.packet_id = htonl(id), .hw_protocol = htons(0x800), .hook = 0};
        return bytes(NFQA_PACKET_HDR, &packet, sizeof packet);
    }
    Message& number(std::uint16_t type, std::uint32_t value) {
        value = htonl(value);
        return bytes(type, &value, sizeof value);
    }
    Message& bytes(std::uint16_t type, const void* data, std::size_t length) {
        mnl_attr_put(header_, type, length, data);
        return *this;
    }
    Message& payload() { return bytes(NFQA_PAYLOAD, segment.data(), segment.size()); }
    // A copy of exactly its size, so that asan finds a byte read too many.
    [[nodiscard]] std::vector<std::uint8_t> whole() const {
        const auto* begin = reinterpret_cast<const std::uint8_t*>(buffer_.data());
        return {begin, begin + header_->nlmsg_len};
    }

  private:
    alignas(nlmsghdr) std::array<char, 1024> buffer_{};
    nlmsghdr* header_;
};

constexpr std::uint32_t stray = SW_MARK_ESCALATE | SW_REASON_STRAY_ACK << SW_MARK_REASON_SHIFT;

TEST(NfqueueMessage, APacketBecomesAnEvent) {
    const auto datagram = Message()
                              .id(77)
                              .number(NFQA_MARK, stray | 0x12000005)
                              .number(NFQA_IFINDEX_INDEV, 3)
                              .number(NFQA_CAP_LEN, 1500)
                              .payload()
                              .whole();
    const QueueMessage message = read_queue_message(datagram);
    ASSERT_EQ(message.kind, QueueMessage::Kind::packet);
    FlowEvent event;
    fill_event(message.packet, event);
    EXPECT_EQ(event.id, queue_event_id(77, stray | 0x12000005));
    EXPECT_EQ(event.kind, EventKind::stray);
    EXPECT_EQ(event.ifindex, 3u);
    EXPECT_EQ(event.length, 1500u);
    EXPECT_EQ(event.source_port, 9);
    EXPECT_EQ(event.destination_port, 443);
}

TEST(NfqueueMessage, APacketThatWasNotCutHasItsOwnLength) {
    const auto datagram = Message().id(1).payload().whole();
    EXPECT_EQ(read_queue_message(datagram).packet.length, 40u);
}

TEST(NfqueueMessage, APacketWithoutItsBytesStillGetsAVerdict) {
    const auto datagram = Message().id(5).number(NFQA_MARK, stray).whole();
    const QueueMessage message = read_queue_message(datagram);
    ASSERT_EQ(message.kind, QueueMessage::Kind::packet);
    FlowEvent event;
    fill_event(message.packet, event);
    EXPECT_EQ(event.id, queue_event_id(5, stray));
    EXPECT_EQ(event.kind, EventKind::stray);
    EXPECT_EQ(event.protocol, 0);
}

TEST(NfqueueMessage, WithoutAnIdItIsNoPacket) {
    EXPECT_EQ(read_queue_message(Message().number(NFQA_MARK, stray).payload().whole()).kind,
              QueueMessage::Kind::unknown);
    const std::uint16_t little = 0;
    EXPECT_EQ(read_queue_message(Message().bytes(NFQA_PACKET_HDR, &little, sizeof little).whole()).kind,
              QueueMessage::Kind::unknown);
}

TEST(NfqueueMessage, OtherMessagesAreUnknown) {
    EXPECT_EQ(read_queue_message({}).kind, QueueMessage::Kind::unknown);
    EXPECT_EQ(read_queue_message(Message(NLMSG_DONE).id(1).whole()).kind, QueueMessage::Kind::unknown);
    EXPECT_EQ(read_queue_message(Message(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT).id(1).whole()).kind,
              QueueMessage::Kind::unknown);
}

TEST(NfqueueMessage, AnAnswerNamesErrorAndNumber) {
    const auto answer = [](std::int32_t error) {
        alignas(nlmsghdr) std::array<char, 64> buffer{};
        nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());
        header->nlmsg_type = NLMSG_ERROR;
        header->nlmsg_seq = 9;
        auto* body = static_cast<nlmsgerr*>(mnl_nlmsg_put_extra_header(header, sizeof(nlmsgerr)));
        body->error = error;
        const auto* begin = reinterpret_cast<const std::uint8_t*>(buffer.data());
        return read_queue_message({begin, header->nlmsg_len});
    };
    EXPECT_EQ(answer(-ENOENT).kind, QueueMessage::Kind::answer);
    EXPECT_EQ(answer(-ENOENT).error, ENOENT);
    EXPECT_EQ(answer(-ENOENT).sequence, 9u);
    EXPECT_EQ(answer(0).error, 0);
    EXPECT_EQ(answer(1).kind, QueueMessage::Kind::unknown);
    EXPECT_EQ(answer(INT_MIN).kind, QueueMessage::Kind::unknown);
}

TEST(NfqueueMessage, CutOffAnywhereItIsReadWithinItsBounds) {
    const auto whole = Message().id(77).number(NFQA_MARK, stray).payload().whole();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const std::vector<std::uint8_t> cut(whole.begin(),
                                            whole.begin() + static_cast<std::ptrdiff_t>(length));
        const QueueMessage message = read_queue_message(cut);
        FlowEvent event;
        if (message.kind == QueueMessage::Kind::packet) fill_event(message.packet, event);
        EXPECT_LE(message.packet.bytes.size(), segment.size());
    }
}

struct SentVerdict {
    std::uint32_t verdict, id, mark;
    std::uint16_t queue;
};
SentVerdict read_verdict(const Verdict& verdict) {
    alignas(nlmsghdr) std::array<std::uint8_t, queue_verdict_bytes> bytes;
    write_queue_verdict(bytes, 9, verdict);
    const auto* header = reinterpret_cast<const nlmsghdr*>(bytes.data());
    EXPECT_TRUE(mnl_nlmsg_ok(header, queue_verdict_bytes));
    EXPECT_EQ(header->nlmsg_len, queue_verdict_bytes);
    EXPECT_EQ(header->nlmsg_type, NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT);
    EXPECT_EQ(header->nlmsg_flags, NLM_F_REQUEST);
    SentVerdict sent{};
    sent.queue = ntohs(static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header))->res_id);
    mnl_attr_parse(
        header, sizeof(nfgenmsg),
        [](const nlattr* attribute, void* data) {
            auto& out = *static_cast<SentVerdict*>(data);
            if (mnl_attr_get_type(attribute) == NFQA_MARK) out.mark = ntohl(mnl_attr_get_u32(attribute));
            if (mnl_attr_get_type(attribute) != NFQA_VERDICT_HDR) return MNL_CB_OK;
            nfqnl_msg_verdict_hdr verdict_header;
            std::memcpy(&verdict_header, mnl_attr_get_payload(attribute), sizeof verdict_header);
            out.verdict = ntohl(verdict_header.verdict);
            out.id = ntohl(verdict_header.id);
            return MNL_CB_OK;
        },
        &sent);
    return sent;
}

TEST(NfqueueMessage, AVerdictNamesItsPacket) {
    const SentVerdict drop = read_verdict({.id = queue_event_id(0xfffffffe, stray), .kind = SW_VERDICT_DROP});
    EXPECT_EQ(drop.verdict, static_cast<std::uint32_t>(NF_DROP));
    EXPECT_EQ(drop.id, 0xfffffffe);
    EXPECT_EQ(drop.queue, 9);
    EXPECT_EQ(read_verdict({.id = queue_event_id(1, stray)}).verdict, static_cast<std::uint32_t>(NF_ACCEPT));
}

TEST(NfqueueMessage, TheMarkKeepsWhatIsNotChangedAndNoLongerEscalates) {
    const std::uint64_t id = queue_event_id(3, stray | 0xab000077);
    EXPECT_EQ(read_verdict({.id = id}).mark, 0xab000077);
    EXPECT_EQ(read_verdict({.id = id, .mark = 0xffffffff, .mask = 0x00ff0001}).mark, 0xabff0077);
    EXPECT_EQ(read_verdict({.id = id, .mark = 0, .mask = 0xff}).mark, 0xab000000);
}

}  // namespace
}  // namespace synward
