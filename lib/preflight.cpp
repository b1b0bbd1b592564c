// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <tuple>

#include "lib/gateway.h"
#include "lib/listeners.h"
#include "lib/local_services.h"
#include "lib/names.h"
#include "lib/preflight_module.h"
#include "lib/preflight_queues.h"
#include "lib/preflight_sets.h"
#include "lib/privilege.h"
#include "lib/xdp_hook.h"

namespace synward {
namespace {

// A ruleset larger than this is not worth the wait; nobody writes one by hand.
constexpr std::size_t most_output = 64 << 20;

// Standard output of a command that is written here, never made from input.
// Nothing when it is not installed, fails or says too much.
std::optional<std::string> output_of(const char* command) {
    std::FILE* pipe = popen(command, "re");
    if (!pipe) return std::nullopt;
    std::string text;
    char buffer[16384];
    while (const std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) {
        text.append(buffer, got);
        if (text.size() > most_output) break;
    }
    const int status = pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || text.size() > most_output) return std::nullopt;
    return text;
}

void check_privilege(std::vector<Finding>& findings) {
    if (const std::string missing = missing_capabilities(); !missing.empty())
        findings.push_back({Severity::error, "privilege",
                            fmt::format("the process lacks {}, so that it can load nothing", missing),
                            "run it as root, or by the packaged systemd unit"});
}

void append(std::vector<Finding>& findings, std::vector<Finding> more) {
    findings.insert(findings.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
}

void check_rules(const Config& config, std::vector<Finding>& findings) {
    HeardPorts heard;
    if (const auto listeners = read_listeners())
        for (const Listener& listener : *listeners) heard.insert(listener.port);
    std::vector<std::string> rulesets;
    const auto json = output_of("nft -j list ruleset 2>/dev/null");
    if (json) {
        append(findings, check_nft(config, *json, heard));
        rulesets.push_back(*json);
    } else {
        findings.push_back({Severity::note, "nft",
                            "the nftables rules could not be read and were not checked",
                            "install nftables, and run this as root"});
    }
    // nft shows the matches of iptables-nft's rules as opaque, so ask that too.
    for (const char* command : {"iptables-nft-save 2>/dev/null", "ip6tables-nft-save 2>/dev/null",
                                "iptables-legacy-save 2>/dev/null", "ip6tables-legacy-save 2>/dev/null"})
        if (const auto text = output_of(command)) {
            append(findings, check_iptables(config, *text, heard));
            rulesets.push_back(*text);
        }
    // Without nft's rules nobody knows whether the rule is missing.
    if (json) append(findings, check_synproxy(config, rulesets));
}

bool uses_synproxy(const Config& config) {
    return std::any_of(config.services.begin(), config.services.end(), [&](const ServiceConfig& s) {
        const sw_delivery delivery = s.settings.delivery;
        return s.settings.mode != SW_MODE_OFF &&
               (delivery == SW_DELIVERY_SYNPROXY ||
                (delivery == SW_DELIVERY_AUTO && may_be_forwarded(config, s)));
    });
}

// What becomes of address = ["local"] on an interface.
void check_local(const Config& config, const std::string& interface, std::vector<Finding>& findings) {
    auto services = config.services;
    if (const auto done = read_local(services, interface); !done) {
        findings.push_back({Severity::error, interface, done.error().message, "run this as root"});
        return;
    }
    for (const auto& [service, why] : place_local(services).left)
        findings.push_back({Severity::warning, fmt::format("service {} on {}", service, interface), why,
                            "correct its `address`, or what is local"});
}

// What the sections beside the services ask of this host.
void check_sections(const Config& config, const HostFacts& host, std::vector<Finding>& findings) {
    const KernelModule module = find_kernel_module(host.kernel);
    append(findings, check_module(config, module));
    if (takes_nfqueue(config, module)) append(findings, look_at_queues(config));
    append(findings, look_at_sets(config));
}

struct Deliveries {
    bool reqsk = false;
    bool kernel = false;
    bool synproxy = false;
};

}  // namespace

std::string_view severity_name(Severity severity) {
    switch (severity) {
        case Severity::note:
            return "note";
        case Severity::warning:
            return "warning";
        case Severity::error:
            return "error";
    }
    return "unknown";
}

std::vector<Finding> check_sysctls(const Config& config, const HostFacts& host) {
    std::vector<Finding> findings;
    Deliveries used;
    for (const ServiceConfig& service : config.services) {
        if (service.settings.mode == SW_MODE_OFF) continue;
        const auto choice =
            choose_delivery(service.settings.delivery, host, may_be_forwarded(config, service));
        if (!choice) {
            findings.push_back({Severity::error, "service " + service.name, choice.error().message,
                                "set delivery = \"auto\" in the config"});
            continue;
        }
        used.reqsk |= choice->delivery == SW_DELIVERY_REQSK;
        used.kernel |= choice->delivery == SW_DELIVERY_KERNEL;
        used.synproxy |= choice->delivery == SW_DELIVERY_SYNPROXY;
    }
    const Sysctls& s = host.sysctls;
    if (!host.kernel.empty() && !release_at_least(host.kernel, 6, 1))
        findings.push_back({Severity::error, "Linux " + host.kernel,
                            "the kernel is too old: the programs need 6.1 or newer", "boot a newer kernel"});
    if (!host.btf)
        findings.push_back(
            {Severity::error, "/sys/kernel/btf/vmlinux",
             "the kernel has no type information (BTF), without which the programs do not load",
             "boot a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions' are"});
    if (used.kernel && s.tcp_syncookies != 2)
        findings.push_back(
            {Severity::error, "net.ipv4.tcp_syncookies",
             fmt::format(
                 "it is {}: with delivery 'kernel' the kernel gives no cookie unless it is 2, so that "
                 "every SYN passes unanswered",
                 s.tcp_syncookies),
             "sysctl -w net.ipv4.tcp_syncookies=2"});
    else if (used.reqsk && s.tcp_syncookies == 0)
        findings.push_back(
            {Severity::error, "net.ipv4.tcp_syncookies",
             "it is 0: with delivery 'reqsk' every validated connection is answered with a reset",
             "sysctl -w net.ipv4.tcp_syncookies=1"});
    if (used.kernel && s.tcp_timestamps != 2)
        findings.push_back(
            {Severity::warning, "net.ipv4.tcp_timestamps",
             fmt::format("it is {}: with delivery 'kernel' connections that a cookie made have "
                         "neither window scaling nor SACK",
                         s.tcp_timestamps),
             "sysctl -w net.ipv4.tcp_timestamps=2"});
    if ((used.reqsk || used.kernel) && s.conntrack_tcp_loose == 0)
        findings.push_back(
            {Severity::warning, "net.netfilter.nf_conntrack_tcp_loose",
             "it is 0: conntrack never saw the SYN and calls the rest of the connection INVALID, which many "
             "firewalls drop",
             "sysctl -w net.netfilter.nf_conntrack_tcp_loose=1"});
    if (used.synproxy && s.conntrack_tcp_loose == 1)
        findings.push_back(
            {Severity::error, "net.netfilter.nf_conntrack_tcp_loose",
             "it is 1: conntrack accepts the ACK of a cookie itself, so that SYNPROXY never sees it and "
             "the connection hangs",
             "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"});
    if (used.synproxy && s.conntrack_tcp_loose < 0)
        findings.push_back({Severity::error, "conntrack",
                            "delivery 'synproxy' needs conntrack, which is not loaded",
                            "modprobe nf_conntrack, and add a SYNPROXY rule for the protected ports"});
    if (config.services.empty())
        findings.push_back({Severity::note, "service",
                            "the config names no service, so that nothing is protected",
                            "add a [[service]] with name and port"});
    return findings;
}

std::vector<Finding> check_synproxy(const Config& config, const std::vector<std::string>& rulesets) {
    if (!uses_synproxy(config)) return {};
    // A statement or object of nft, what nft says of a rule of iptables-nft, and iptables' own.
    const auto has_rule = [](const std::string& ruleset) {
        return ruleset.find("\"synproxy\":") != std::string::npos ||
               ruleset.find("\"SYNPROXY\"") != std::string::npos ||
               ruleset.find("-j SYNPROXY") != std::string::npos;
    };
    if (std::any_of(rulesets.begin(), rulesets.end(), has_rule)) return {};
    return {{Severity::error, "SYNPROXY",
             "no rule of nft or iptables is for it: nobody checks the cookies, and the server behind "
             "resets every connection that began with one",
             "add the rules of docs/kernels.md (synproxy) for the protected ports"}};
}

std::vector<Finding> check_interface(const Interface& interface, bool vlan_offload, bool lro) {
    std::vector<Finding> findings;
    if (!interface.vlans.empty() && vlan_offload)
        findings.push_back(
            {Severity::error, interface.name,
             fmt::format(
                 "the device takes VLAN tags off before XDP sees them, so that answers to {} would leave "
                 "without a tag",
                 interface.vlans.front()),
             fmt::format("ethtool -K {} rxvlan off", interface.name)});
    if (lro)
        findings.push_back({Severity::warning, interface.name,
                            "large receive offload is on; with it most drivers refuse XDP in native mode",
                            fmt::format("ethtool -K {} lro off", interface.name)});
    if (interface.mtu > most_native_mtu)
        findings.push_back(
            {Severity::note, interface.name,
             fmt::format(
                 "frames of an MTU of {} are larger than most drivers take with native XDP, and generic "
                 "XDP is several times slower (`synward status` says which it is)",
                 interface.mtu),
             fmt::format("ip link set dev {} mtu {}, if they are not needed", interface.name,
                         most_native_mtu)});
    for (const Station& other : interface.stations)
        findings.push_back(
            {Severity::warning, interface.name,
             fmt::format("frames to the MAC address of {} ({}) pass unprotected: the program answers to the "
                         "interface's own address only",
                         other.name, other.kind),
             other.kind.starts_with("macv")
                 ? fmt::format("protect {} too, as an interface of its own", other.name)
                 : fmt::format("give {} the address of {}, or protect {} too", other.name, interface.name,
                               other.name)});
    if (!interface.up)
        findings.push_back({Severity::note, interface.name, "the interface is down",
                            fmt::format("ip link set dev {} up", interface.name)});
    return findings;
}

std::vector<Finding> check_mptcp(const Config& config, const std::vector<Listener>& listeners) {
    std::vector<Finding> findings;
    for (const ServiceConfig& service : config.services) {
        if (service.settings.mode == SW_MODE_OFF) continue;
        std::set<std::uint16_t> ports;
        for (const Listener& listener : listeners) {
            // Of a service with "local", whatever is local; a listener on :: has all.
            const bool there =
                service.everywhere() || service.local || listener.address == Address{} ||
                listener.address == Address{.family = SW_IPV6} ||
                std::ranges::find(service.addresses, listener.address) != service.addresses.end();
            if (listener.mptcp && there &&
                std::ranges::find(service.ports, listener.port) != service.ports.end())
                ports.insert(listener.port);
        }
        for (const std::uint16_t port : ports)
            findings.push_back(
                {Severity::warning, "service " + service.name,
                 fmt::format(
                     "the listener on port {} is an MPTCP socket, which takes no cookies: its SYNs pass "
                     "unanswered, counted as syn_mptcp, and a flood of them reaches the kernel",
                     port),
                 "have the server listen on a plain TCP socket (without mptcpize, MPTCP off in its "
                 "settings)"});
    }
    return findings;
}

std::vector<Finding> preflight(const Config& config, Depth depth) {
    std::vector<Finding> findings;
    check_privilege(findings);
    for (const std::string& name : config.daemon.interfaces) {
        const auto interface = find_interface(name);
        if (!interface) {
            findings.push_back({Severity::error, name, interface.error().message,
                                "correct daemon.interfaces, or create the interface first"});
            continue;
        }
        append(findings, check_interface(*interface, vlan_offload_on(name), lro_on(name)));
        if (const auto hooked = query_xdp(*interface); !hooked && hooked.error().code == ErrorCode::busy)
            findings.push_back({Severity::error, name, hooked.error().message, ""});
        check_local(config, name, findings);
    }
    const HostFacts host =
        read_host(config.daemon.interfaces.empty() ? std::string("all") : config.daemon.interfaces.front());
    append(findings, check_sysctls(config, host));
    if (const auto listeners = read_listeners()) append(findings, check_mptcp(config, *listeners));
    if (depth != Depth::host) check_rules(config, findings);
    if (depth == Depth::all) check_sections(config, host, findings);

    // The same rule may be seen by two tools.
    std::vector<Finding> unique;
    for (Finding& f : findings) {
        const bool seen = std::any_of(unique.begin(), unique.end(), [&](const Finding& u) {
            return std::tie(u.subject, u.text) == std::tie(f.subject, f.text);
        });
        if (!seen) unique.push_back(std::move(f));
    }
    std::stable_sort(unique.begin(), unique.end(),
                     [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
    return unique;
}

}  // namespace synward
