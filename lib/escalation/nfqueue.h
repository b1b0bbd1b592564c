// SPDX-License-Identifier: GPL-2.0-or-later
// nfnetlink_queue as a transport: works on every kernel. One message brings one
// packet, so batches are made of system calls: up to `batch` packets by one
// recvmmsg(2), as many different verdicts by one send(2).
#pragma once

#include <sys/socket.h>

#include <memory>
#include <vector>

#include "lib/descriptor.h"
#include "lib/escalation/counters.h"
#include "lib/escalation/nfqueue_message.h"
#include "lib/escalation/transport.h"

namespace synward {

struct NfqueueOptions {
    std::uint16_t queue = 0;
    unsigned batch = 64;  // 1 to 1024
    // Most packets that wait in the kernel for their verdict. Those beyond are
    // let through (fail_open) uncounted; so that it does not come to that, the
    // socket should be full first: what finds no room in it is counted as lost.
    std::uint32_t max_length = 65536;
    // Of the socket. The kernel takes twice that, and about 1 KiB of it for a packet.
    std::uint32_t receive_bytes = 8 << 20;
    std::uint32_t copy_bytes = 256;  // of a packet: its headers
    // No room, or the transport closes: let through; else dropped.
    bool fail_open = true;

    // Makes room for about so many packets, 2 to 65536: in the socket, so that every loss is counted.
    void make_room(std::uint32_t packets);
};

class NfqueueTransport final : public Transport {
  public:
    // Binds the queue in the caller's network namespace. `privilege` without
    // CAP_NET_ADMIN, `busy` if another process reads that queue, `unsupported`
    // without nfnetlink_queue, `usage` for options out of range.
    static Result<std::unique_ptr<NfqueueTransport>> open(const NfqueueOptions& options);
    // What waits, read or not, is let through or dropped as `fail_open` says, with its mark as it was.
    // Nobody does that for a process that is killed: then the kernel drops it.
    ~NfqueueTransport() override;

    [[nodiscard]] int fd() const override { return fd_.get(); }
    Result<std::span<const FlowEvent>> receive() override;
    Result<void> send(std::span<const Verdict> verdicts) override;
    [[nodiscard]] TransportStats stats() const override { return counters_.stats(); }
    [[nodiscard]] std::string_view name() const override { return "nfqueue"; }
    // How often the kernel said that packets were lost (ENOBUFS); how many it were is in stats().lost.
    [[nodiscard]] std::uint64_t overruns() const { return overruns_.get(); }

  private:
    NfqueueTransport(Descriptor fd, const NfqueueOptions& options);
    Result<void> configure();
    // The kernel's answer to the message with this number.
    Result<int> await_answer(std::uint32_t sequence);
    Result<int> receive_datagrams();
    void take(const QueueMessage& message);
    void note_gap(std::uint32_t packet_id);
    Result<void> send_bytes(std::size_t length);

    Descriptor fd_;
    NfqueueOptions options_;
    std::vector<std::uint8_t> buffer_;  // a datagram's room for each of a batch
    std::vector<iovec> vectors_;
    std::vector<mmsghdr> headers_;
    std::vector<FlowEvent> events_;
    std::size_t event_count_ = 0;
    std::vector<std::uint8_t> verdict_buffer_;
    std::uint32_t next_id_ = 1;  // that the next packet has if none is lost
    TransportCounters counters_;
    Counter overruns_;
};

}  // namespace synward
