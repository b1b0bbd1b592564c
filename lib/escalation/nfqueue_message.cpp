// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/escalation/nfqueue_message.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

#include "lib/escalation/packet_reader.h"

namespace synward {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t align(std::size_t length) {
    return (length + 3) & ~std::size_t{3};
}

// By copy: whatever the alignment, and nothing is read twice.
template <typename T>
std::optional<T> read(Bytes bytes, std::size_t at = 0) {
    if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

std::uint32_t read_be32(Bytes bytes) {
    return ntohl(read<std::uint32_t>(bytes).value_or(0));
}

// False: it has no id, so nobody could ever decide about it.
bool read_attributes(Bytes bytes, QueuedPacket& packet) {
    bool named = false;
    std::optional<std::uint32_t> whole;
    while (const auto attribute = read<nlattr>(bytes)) {
        if (attribute->nla_len < sizeof(nlattr)) break;
        // one that is cut off by the end of the datagram is taken as far as it goes
        const std::size_t length = std::min<std::size_t>(attribute->nla_len, bytes.size());
        const Bytes value = bytes.first(length).subspan(sizeof(nlattr));
        switch (attribute->nla_type & NLA_TYPE_MASK) {
            case NFQA_PACKET_HDR:
                if (value.size() < sizeof(nfqnl_msg_packet_hdr)) return false;
                packet.id = read_be32(value);
                named = true;
                break;
            case NFQA_MARK:
                packet.mark = read_be32(value);
                break;
            case NFQA_IFINDEX_INDEV:
                packet.ifindex = read_be32(value);
                break;
            case NFQA_CAP_LEN:
                whole = read_be32(value);
                break;
            case NFQA_PAYLOAD:
                packet.bytes = value;
                break;
            default:
                break;
        }
        bytes = bytes.subspan(std::min(align(length), bytes.size()));
    }
    packet.length = whole.value_or(static_cast<std::uint32_t>(packet.bytes.size()));
    return named;
}

template <typename T>
std::uint8_t* put(std::uint8_t* to, const T& value) {
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

}  // namespace

QueueMessage read_queue_message(std::span<const std::uint8_t> datagram) {
    QueueMessage message;
    const auto header = read<nlmsghdr>(datagram);
    if (!header || header->nlmsg_len < sizeof(nlmsghdr)) return message;
    const Bytes body =
        datagram.first(std::min<std::size_t>(header->nlmsg_len, datagram.size())).subspan(sizeof(nlmsghdr));
    if (header->nlmsg_type == NLMSG_ERROR) {
        const auto error = read<std::int32_t>(body);
        // the kernel sends 0 and negative numbers only; -INT_MIN is none
        if (!error || *error > 0 || *error < -4095) return message;
        message.kind = QueueMessage::Kind::answer;
        message.error = -*error;
        message.sequence = header->nlmsg_seq;
        return message;
    }
    if (header->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) return message;
    if (body.size() < sizeof(nfgenmsg)) return message;
    if (read_attributes(body.subspan(sizeof(nfgenmsg)), message.packet))
        message.kind = QueueMessage::Kind::packet;
    return message;
}

void fill_event(const QueuedPacket& packet, FlowEvent& event) {
    event.id = queue_event_id(packet.id, packet.mark);
    event.mark = packet.mark;
    event.ifindex = packet.ifindex;
    event.length = packet.length;
    set_reason(event, escalation_reason(packet.mark));
    packet_reader::read(packet.bytes, event);
}

void write_queue_verdict(std::span<std::uint8_t, queue_verdict_bytes> to, std::uint16_t queue,
                         const Verdict& verdict) {
    const bool accept = verdict.kind == SW_VERDICT_ACCEPT;
    const auto old = static_cast<std::uint32_t>(verdict.id >> 32) & ~SW_MARK_ESCALATE_MASK;
    const std::uint32_t mark = (old & ~verdict.mask) | (verdict.mark & verdict.mask);

    std::uint8_t* at = to.data();
    at = put(at, nlmsghdr{.nlmsg_len = queue_verdict_bytes,
                          .nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT,
                          .nlmsg_flags = NLM_F_REQUEST});
    at = put(at, nfgenmsg{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue)});
    at = put(at,
             nlattr{.nla_len = sizeof(nlattr) + sizeof(nfqnl_msg_verdict_hdr), .nla_type = NFQA_VERDICT_HDR});
    at = put(at, nfqnl_msg_verdict_hdr{.verdict = htonl(accept ? NF_ACCEPT : NF_DROP),
                                       .id = htonl(static_cast<std::uint32_t>(verdict.id))});
    at = put(at, nlattr{.nla_len = sizeof(nlattr) + sizeof(std::uint32_t), .nla_type = NFQA_MARK});
    put(at, htonl(mark));
}

}  // namespace synward
