// SPDX-License-Identifier: GPL-2.0-or-later
// The ways by which packets go up to a daemon and verdicts come down, each doing
// the same work in the same run: every packet becomes an event and gets a verdict.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "escalate_lab.h"
#include "lib/escalation/transport.h"

namespace synward::bench {

struct EscalateOptions {
    unsigned depth = 2048;      // packets that wait when draining begins
    unsigned rounds = 15;       // the least of them counts
    unsigned packets = 8192;    // of a round of the whole path
    unsigned batch = 64;        // packets of a batch of nfqueue; sent, then decided, along the whole path
    unsigned ring_batch = 256;  // of the ring, as the daemon has it
    double seconds = 1;         // of held time and of overload
    unsigned rate = 10000;      // packets a second while held time is measured
    unsigned queue = 23000;     // of netfilter
    int cpu = 0;                // of the reader; -1: any
    int sender_cpu = 1;
    bool live = true;  // held time, overload, a stopped reader: no instruction counts there
    std::vector<std::string> only;
};

struct HeldTime {
    double p50 = 0, p99 = 0;  // microseconds
};
struct Overload {
    double offered = 0, decided = 0;  // packets a second
    double lost = 0;                  // of those offered, 0 to 1: never seen by the reader
};
// Twice as many packets as the reader has room for, and it does not read.
struct Stopped {
    uint64_t offered = 0;
    uint64_t passed_at_once = 0;
    uint64_t passed_in_a_second = 0;  // with those at once
    uint64_t waiting = 0;             // then still read by a reader that goes on
};

struct EscalateResult {
    std::string name;
    double drain = 0;  // ns a packet, with drop
    double whole =
        0;  // ns a packet from the wire to behind the hook, with accept, less what it takes without
    double per_call = 0;  // verdicts per system call while draining
    std::optional<HeldTime> held;
    std::optional<Overload> overload;
    std::optional<Stopped> stopped;
};

struct EscalateReport {
    double baseline = 0;  // ns a packet from the wire to behind the hook when nobody holds it
    bool module = false;  // the kernel module is loaded here
    std::vector<EscalateResult> results;
};

// Throws std::runtime_error.
EscalateReport run_escalate(const EscalateOptions& options);

}  // namespace synward::bench
