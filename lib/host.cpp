// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/host.h"

#include <bpf/btf.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fstream>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>

#include "lib/names.h"

namespace synward {
namespace {

// The last number in a sysctl's file (tcp_rmem has three).
std::optional<long> last_number(const std::string& path) {
    std::ifstream file(path);
    std::optional<long> result;
    for (long value; file >> value;) result = value;
    return result;
}

// visit(PATH, member) for each, by its path below /proc/sys.
template <typename Visit>
void each_sysctl(const std::string& interface, const Visit& visit) {
    visit("net/ipv4/tcp_syncookies", &Sysctls::tcp_syncookies);
    visit("net/ipv4/tcp_timestamps", &Sysctls::tcp_timestamps);
    visit("net/ipv4/tcp_sack", &Sysctls::tcp_sack);
    visit("net/ipv4/tcp_window_scaling", &Sysctls::tcp_window_scaling);
    visit("net/ipv4/tcp_ecn", &Sysctls::tcp_ecn);
    visit("net/ipv4/tcp_rmem", &Sysctls::tcp_rmem_max);
    visit("net/core/rmem_max", &Sysctls::rmem_max);
    visit("net/ipv4/ip_default_ttl", &Sysctls::ttl);
    visit("net/ipv6/conf/" + interface + "/hop_limit", &Sysctls::hop_limit);
    visit("net/netfilter/nf_conntrack_tcp_loose", &Sysctls::conntrack_tcp_loose);
    visit("net/netfilter/nf_conntrack_tcp_be_liberal", &Sysctls::conntrack_tcp_be_liberal);
}

}  // namespace

unsigned tick_rate() {
    timespec resolution{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    const long ns = resolution.tv_sec * 1'000'000'000 + resolution.tv_nsec;
    return ns > 0 ? static_cast<unsigned>((1'000'000'000 + ns / 2) / ns) : 250;
}

bool release_at_least(std::string_view release, unsigned major, unsigned minor) {
    unsigned found[2] = {};
    const char* at = release.data();
    const char* const end = at + release.size();
    for (unsigned& number : found) {
        at = std::from_chars(at, end, number).ptr;
        if (at != end) at++;
    }
    return std::tie(found[0], found[1]) >= std::tie(major, minor);
}

Sysctls read_sysctls(const std::string& interface, const std::string& root) {
    Sysctls s;
    each_sysctl(interface, [&](const std::string& path, auto member) {
        if (const auto value = last_number(root + "/" + path))
            s.*member = static_cast<std::decay_t<decltype(s.*member)>>(*value);
    });
    return s;
}

std::string sysctls_changed(const Sysctls& before, const Sysctls& now, const std::string& interface) {
    std::string text;
    each_sysctl(interface, [&](std::string path, auto member) {
        if (before.*member == now.*member) return;
        std::replace(path.begin(), path.end(), '/', '.');
        text += fmt::format("{}{} is {} (was {})", text.empty() ? "" : ", ", path, +(now.*member),
                            +(before.*member));
    });
    return text;
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

Result<DeliveryChoice> choose_delivery(sw_delivery wanted, const HostFacts& host, bool forwarded) {
    // A cookie's ACK finds no listener where it is forwarded, and the server behind never saw the SYN.
    if (forwarded && wanted == SW_DELIVERY_AUTO)
        return DeliveryChoice{SW_DELIVERY_SYNPROXY,
                              "connections are forwarded: netfilter's SYNPROXY checks the cookies"};
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
