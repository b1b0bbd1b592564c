// SPDX-License-Identifier: GPL-2.0-or-later
#include "escalate_peer.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include <cerrno>

namespace synward::bench {
namespace {

int read_message(const nlmsghdr* message, void* data) {
    nlattr* attributes[NFQA_MAX + 1] = {};
    if (nfq_nlmsg_parse(message, attributes) < 0 || !attributes[NFQA_PACKET_HDR]) return MNL_CB_ERROR;
    const auto* header =
        static_cast<const nfqnl_msg_packet_hdr*>(mnl_attr_get_payload(attributes[NFQA_PACKET_HDR]));
    QueuedPacket packet{.id = ntohl(header->packet_id)};
    if (attributes[NFQA_MARK]) packet.mark = ntohl(mnl_attr_get_u32(attributes[NFQA_MARK]));
    if (const nlattr* payload = attributes[NFQA_PAYLOAD])
        packet.bytes = {static_cast<const uint8_t*>(mnl_attr_get_payload(payload)),
                        mnl_attr_get_payload_len(payload)};
    fill_event(packet, *static_cast<FlowEvent*>(data));
    return MNL_CB_OK;
}

}  // namespace

Result<std::unique_ptr<NfqueueEach>> NfqueueEach::open(const NfqueueOptions& options) {
    auto queue = NfqueueTransport::open(options);
    if (!queue) return tl::unexpected(queue.error());
    return std::unique_ptr<NfqueueEach>(new NfqueueEach(std::move(*queue), options.queue));
}

Result<std::span<const FlowEvent>> NfqueueEach::receive() {
    for (;;) {
        ++stats_.system_calls;
        const ssize_t got = recv(fd(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return std::span<const FlowEvent>{};
        if (got < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
        if (got < 0) return fail_errno(errno, "cannot read from the queue");
        event_ = {};
        if (mnl_cb_run(buffer_.data(), static_cast<size_t>(got), 0, 0, read_message, &event_) < 0) continue;
        const auto id = static_cast<uint32_t>(event_.id);
        stats_.lost += id - next_id_;
        next_id_ = id + 1;
        ++stats_.received;
        ++stats_.batches;
        return std::span<const FlowEvent>(&event_, 1);
    }
}

Result<void> NfqueueEach::send(std::span<const Verdict> verdicts) {
    for (const Verdict& verdict : verdicts) {
        alignas(nlmsghdr) char buffer[256];
        nlmsghdr* message = nfq_nlmsg_put(buffer, NFQNL_MSG_VERDICT, number_);
        nfq_nlmsg_verdict_put(message, static_cast<int>(static_cast<uint32_t>(verdict.id)),
                              verdict.kind == SW_VERDICT_ACCEPT ? NF_ACCEPT : NF_DROP);
        ++stats_.system_calls;
        if (::send(fd(), message, message->nlmsg_len, 0) < 0)
            return fail_errno(errno, "cannot send a verdict");
        ++stats_.verdicts;
    }
    return {};
}

}  // namespace synward::bench
