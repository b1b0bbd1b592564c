// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/host.h"

#include <bpf/btf.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>

namespace synward {
namespace {

// The last number in a sysctl's file (tcp_rmem has three).
std::optional<long> last_number(const std::string& path) {
    std::ifstream file(path);
    std::optional<long> result;
    for (long value; file >> value;) result = value;
    return result;
}

template <typename T>
void read(T& target, const std::string& path) {
    if (const auto value = last_number(path)) target = static_cast<T>(*value);
}

}  // namespace

unsigned tick_rate() {
    timespec resolution{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    const long ns = resolution.tv_sec * 1'000'000'000 + resolution.tv_nsec;
    return ns > 0 ? static_cast<unsigned>((1'000'000'000 + ns / 2) / ns) : 250;
}

Sysctls read_sysctls(const std::string& interface, const std::string& root) {
    Sysctls s;
    const std::string ipv4 = root + "/net/ipv4/";
    read(s.tcp_syncookies, ipv4 + "tcp_syncookies");
    read(s.tcp_timestamps, ipv4 + "tcp_timestamps");
    read(s.tcp_sack, ipv4 + "tcp_sack");
    read(s.tcp_window_scaling, ipv4 + "tcp_window_scaling");
    read(s.tcp_ecn, ipv4 + "tcp_ecn");
    read(s.tcp_rmem_max, ipv4 + "tcp_rmem");
    read(s.rmem_max, root + "/net/core/rmem_max");
    read(s.ttl, ipv4 + "ip_default_ttl");
    read(s.hop_limit, root + "/net/ipv6/conf/" + interface + "/hop_limit");
    read(s.conntrack_tcp_loose, root + "/net/netfilter/nf_conntrack_tcp_loose");
    read(s.conntrack_tcp_be_liberal, root + "/net/netfilter/nf_conntrack_tcp_be_liberal");
    return s;
}

HostFacts read_host(const std::string& interface) {
    HostFacts host;
    utsname names{};
    if (uname(&names) == 0) host.kernel = names.release;
    host.hz = tick_rate();
    host.cpus = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    host.sysctls = read_sysctls(interface);

    struct Free {
        void operator()(btf* types) const { btf__free(types); }
    };
    const std::unique_ptr<btf, Free> types(btf__load_vmlinux_btf());
    host.btf = types != nullptr;
    host.reqsk = types && btf__find_by_name_kind(types.get(), "bpf_sk_assign_tcp_reqsk", BTF_KIND_FUNC) > 0;
    return host;
}

Result<DeliveryChoice> choose_delivery(sw_delivery wanted, const HostFacts& host) {
    const std::string kernel = host.kernel.empty() ? "this kernel" : "Linux " + host.kernel;
    switch (wanted) {
        case SW_DELIVERY_AUTO:
            if (host.reqsk)
                return DeliveryChoice{
                    SW_DELIVERY_REQSK,
                    fmt::format("{} has bpf_sk_assign_tcp_reqsk: own cookies keep every option", kernel)};
            return DeliveryChoice{
                SW_DELIVERY_KERNEL,
                fmt::format("{} has no bpf_sk_assign_tcp_reqsk (6.9 and later do): the kernel's "
                            "cookies, which need tcp_syncookies=2",
                            kernel)};
        case SW_DELIVERY_REQSK:
            if (!host.reqsk)
                return fail(
                    ErrorCode::unsupported,
                    fmt::format("delivery 'reqsk' needs bpf_sk_assign_tcp_reqsk (Linux 6.9 and later), "
                                "which {} does not have; use 'kernel' or 'auto'",
                                kernel));
            return DeliveryChoice{wanted, "the config says so"};
        default:
            return DeliveryChoice{wanted, "the config says so"};
    }
}

}  // namespace synward
