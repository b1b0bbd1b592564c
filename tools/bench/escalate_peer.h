// SPDX-License-Identifier: GPL-2.0-or-later
// nfnetlink_queue as libnetfilter_queue's own example (examples/nf-queue.c) reads
// it: one packet by one recv, its verdict by one send.
#pragma once

#include <memory>
#include <vector>

#include "lib/escalation/nfqueue.h"

namespace synward::bench {

class NfqueueEach final : public Transport {
  public:
    static Result<std::unique_ptr<NfqueueEach>> open(const NfqueueOptions& options);

    int fd() const override { return queue_->fd(); }
    Result<std::span<const FlowEvent>> receive() override;
    Result<void> send(std::span<const Verdict> verdicts) override;
    TransportStats stats() const override { return stats_; }
    std::string_view name() const override { return "nfqueue"; }

  private:
    NfqueueEach(std::unique_ptr<NfqueueTransport> queue, uint16_t number)
        : queue_(std::move(queue)), number_(number), buffer_(65536) {}

    std::unique_ptr<NfqueueTransport> queue_;  // sets the queue up, and is not used otherwise
    uint16_t number_;
    std::vector<char> buffer_;
    FlowEvent event_;
    uint32_t next_id_ = 1;
    TransportStats stats_;
};

}  // namespace synward::bench
