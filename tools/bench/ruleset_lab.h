// SPDX-License-Identifier: GPL-2.0-or-later
// A host behind a wire, for measuring what its firewall costs: datagrams sent into one end of
// a veth pair are received by a kernel thread of their own at the other, whose CPU time is
// what they cost. They end, counted, behind all hooks of netfilter for local services.
#pragma once

#include <sys/types.h>

#include <string>

#include "bpf/template.h"
#include "bpf/traffic.h"
#include "bpf_object.h"
#include "netns.h"

namespace synward::bench {

enum class Traffic {
    kNew,          // every packet is of another connection, which nobody denies
    kEstablished,  // packets of connections that both sides have sent in
    kDenied,       // every packet is of another connection, from a source that is denied
};
constexpr Traffic kTraffics[] = {Traffic::kNew, Traffic::kEstablished, Traffic::kDenied};

// Sources of kDenied: `count` addresses from `first` (host byte order) on.
struct Denied {
    uint32_t first = 0;
    uint32_t count = 0;
};

struct LabOptions {
    int cpu = 0;         // of the receiving end
    int sender_cpu = 1;  // of the caller of measure(), which stays pinned to it; -1: any
    double sample = 20;  // milliseconds of the receiver's CPU time that a measurement takes at least
};

struct Sample {
    double ns = 0;  // of the receiving thread's CPU time, a packet
    uint64_t packets = 0;
};

// Throws std::runtime_error. One thread at a time.
class RulesetLab {
  public:
    // `tracked`: connections are tracked, as a stateful firewall does; else only if a rule asks for it.
    RulesetLab(const LabOptions& options, bool tracked);

    // The host: where the firewall goes.
    const Netns& host() const { return host_; }
    // Where packets of clients come from.
    const Netns& outside() const { return outside_; }
    static constexpr const char* kHostAddress = "192.0.2.1";

    // Throws if the host let something go that it should not have, or the other way round.
    Sample measure(Traffic traffic, const Denied& denied);

  private:
    void send(uint32_t frames);
    void aim(uint32_t base, uint32_t span, bool random_port);
    void establish() const;
    void forget_connections() const;
    void wait_until_received() const;
    uint64_t received() const;  // packets, of the host's end
    uint64_t lost() const;      // frames for which the wire had no room
    uint64_t made() const;      // frames, of the sender
    uint64_t passed() const;    // packets that came by all hooks
    uint64_t cpu_time() const;  // ns, of the receiving thread

    LabOptions options_;
    Netns host_, outside_;
    BpfObject pass_, object_;
    bench_traffic traffic_{};
    std::string host_end_, outside_end_;
    pid_t receiver_ = 0;
    Fd replier_;  // the host's socket that the established connections begin with
    uint64_t lost_before_ = 0, made_before_ = 0, received_before_ = 0;
};

}  // namespace synward::bench
