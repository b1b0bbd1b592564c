// SPDX-License-Identifier: GPL-2.0-or-later
// The module's verdict ring as a transport. Reading a batch takes no system
// call, its verdicts one write(2).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/descriptor.h"
#include "lib/escalation/counters.h"
#include "lib/escalation/ring_reader.h"
#include "lib/escalation/transport.h"

namespace synward {

// What struct sw_ring_setup (lib/abi/ring.h) asks for.
struct RingOptions {
    std::uint16_t ring = 0;
    std::uint16_t rings = 1;
    sw_ring_mode mode = SW_RING_HOLD;
    sw_ring_fanout fanout = SW_RING_FANOUT_CPU;
    sw_ring_fail fail = SW_RING_FAIL_ACCEPT;
    std::uint32_t slots = 4096;       // power of two
    std::uint32_t frame_bytes = 256;  // power of two; 192 of them are the packet's
    std::uint32_t watermark = 32;     // frames that wake the reader (at most the slots),
    std::uint32_t timer_us = 200;     // or the first of fewer after this long
    std::uint32_t deadline_ms = 500;
    std::uint32_t bytes = 0;  // of packets held at once; 0: the namespace's cap
    unsigned batch = 256;     // events of one receive(), 1 to 4096
    std::string device = SW_RING_DEVICE;
};

// Memory of a device or file, for reading only. Move-only.
class Mapping {
  public:
    static Result<Mapping> of(int fd, std::size_t bytes);
    Mapping(Mapping&& other) noexcept
        : address_(std::exchange(other.address_, nullptr)), bytes_(other.bytes_) {}
    Mapping& operator=(Mapping&& other) = delete;
    ~Mapping();

    [[nodiscard]] const void* address() const { return address_; }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }

  private:
    Mapping(void* address, std::size_t bytes) : address_(address), bytes_(bytes) {}

    void* address_;
    std::size_t bytes_;
};

class RingTransport final : public Transport {
  public:
    // Takes a share of the caller's network namespace. `missing` without the
    // module, `privilege` without CAP_NET_ADMIN, `busy` if the share has a reader
    // or the other rings were set up differently, `mismatch` for another version
    // of the protocol, `usage` for options out of range.
    static Result<std::unique_ptr<RingTransport>> open(const RingOptions& options);
    // A ring that is set up and mapped already; `fd` takes verdicts by write(2).
    static Result<std::unique_ptr<RingTransport>> over(Descriptor fd, Mapping map,
                                                       const RingOptions& options);

    [[nodiscard]] int fd() const override { return fd_.get(); }
    // In the mode SW_RING_COPY nobody waits: the events have id 0, and their
    // frames are given back here, by one write(2) for the batch.
    Result<std::span<const FlowEvent>> receive() override;
    Result<void> send(std::span<const Verdict> verdicts) override;
    [[nodiscard]] TransportStats stats() const override;
    [[nodiscard]] std::string_view name() const override { return "ring"; }

  private:
    RingTransport(Descriptor fd, Mapping map, const sw_ring_view& view, const RingOptions& options);
    [[nodiscard]] const sw_ring_header& header() const {
        return *static_cast<const sw_ring_header*>(map_.address());
    }
    Result<void> write_verdicts(std::size_t count);

    Mapping map_;
    Descriptor fd_;
    sw_ring_view view_;
    bool copy_;
    std::uint64_t next_;  // sequence number of the frame that is read next
    std::vector<FlowEvent> events_;
    std::vector<sw_verdict> verdicts_;
    TransportCounters counters_;
};

}  // namespace synward
