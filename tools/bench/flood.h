// SPDX-License-Identifier: GPL-2.0-or-later
// A bounded flood of composed frames out of one interface, at millions a second: a BPF program
// makes them, BPF_PROG_TEST_RUN with live frames sends them. Runs in the calling thread's
// network namespace; one thread per Flood.
#pragma once

#include <stop_token>
#include <string>

#include "bpf_object.h"
#include "packet.h"

namespace synward::bench {

enum class FloodKind { kSyn, kAck, kRst, kSynAck, kOddSyn, kFragment };
FloodKind parse_flood_kind(std::string_view name);  // throws
std::string_view to_string(FloodKind kind);

struct FloodOptions {
    std::string interface;
    Address to;
    uint16_t port = 80;
    Mac to_mac{};
    Prefix source;
    FloodKind kind = FloodKind::kSyn;
    uint64_t rate = 0;    // frames per second; 0: as fast as possible
    uint64_t count = 0;   // frames; 0: bounded by time alone
    double seconds = 10;  // at most kFloodSeconds
    bool even = false;    // evenly spaced, at the price of the whole CPU; else in bursts every 5 ms
    int cpu = -1;         // -1: not pinned
};
constexpr double kFloodSeconds = 3600;

struct FloodReport {
    uint64_t sent = 0;       // made
    uint64_t delivered = 0;  // what the interface counted as sent
    double seconds = 0;
};

class Flood {
  public:
    explicit Flood(const FloodOptions& options);
    FloodReport run(std::stop_token stop = {});

  private:
    void send(uint32_t runs);
    uint64_t made() const;

    FloodOptions options_;
    BpfObject object_;
    std::vector<uint8_t> frame_;
};

}  // namespace synward::bench
