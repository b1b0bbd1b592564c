// SPDX-License-Identifier: GPL-2.0-or-later
// Facts about the kernel and its settings that shape a policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/abi/policy.h"
#include "lib/interface.h"
#include "lib/result.h"

namespace synward {

// Of the caller's network namespace; absent files leave the kernel's default.
struct Sysctls {
    int tcp_syncookies = 1;
    int tcp_timestamps = 1;
    bool tcp_sack = true;
    bool tcp_window_scaling = true;
    int tcp_ecn = 2;
    std::uint32_t tcp_rmem_max = 6291456;  // third value of tcp_rmem
    std::uint32_t rmem_max = 212992;
    std::uint8_t ttl = 64;
    std::uint8_t hop_limit = 64;
    // -1 where conntrack is not there
    int conntrack_tcp_loose = -1;
    int conntrack_tcp_be_liberal = -1;

    bool operator==(const Sysctls&) const = default;
};

struct HostFacts {
    std::string kernel;  // release, as uname says
    unsigned hz = 250;   // ticks (jiffies) a second
    unsigned cpus = 1;   // online
    bool btf = false;    // /sys/kernel/btf/vmlinux is there
    bool reqsk = false;  // bpf_sk_assign_tcp_reqsk exists (6.9)
    Sysctls sysctls;
};

// Reads /proc/sys, /sys/kernel/btf and the clock's resolution. `interface` is
// for its hop limit. Never fails: what cannot be read keeps its default.
[[nodiscard]] HostFacts read_host(const std::string& interface);
[[nodiscard]] Sysctls read_sysctls(const std::string& interface, const std::string& root = "/proc/sys");
// "net.ipv4.tcp_sack is 0 (was 1), ..."; empty if nothing changed.
[[nodiscard]] std::string sysctls_changed(const Sysctls& before, const Sysctls& now,
                                          const std::string& interface);

// Is a release as uname says it ("6.12.3-amd64") at least that version?
[[nodiscard]] bool release_at_least(std::string_view release, unsigned major, unsigned minor);

// Ticks a second, from clock_getres(CLOCK_MONOTONIC_COARSE).
[[nodiscard]] unsigned tick_rate();

// The delivery of validated ACKs, and why it was chosen, as a sentence for status.
struct DeliveryChoice {
    sw_delivery delivery = SW_DELIVERY_KERNEL;
    std::string why;
};

// `auto` becomes synproxy where connections are forwarded (lib/gateway.h), reqsk where the kernel has it,
// else kernel. Anything else stays; code `unsupported` when the kernel cannot do it.
[[nodiscard]] Result<DeliveryChoice> choose_delivery(sw_delivery wanted, const HostFacts& host,
                                                     bool forwarded = false);

}  // namespace synward
