// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/policy.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "lib/gateway.h"
#include "lib/keys.h"
#include "lib/local_services.h"
#include "lib/names.h"

namespace synward {
namespace {

// TCP and IP headers without options.
constexpr unsigned headers4 = 40;
constexpr unsigned headers6 = 60;
constexpr unsigned least_mss = 64;
constexpr unsigned timestamp_bytes = 12;                           // the option, padded
constexpr std::uint64_t least_burst = 16;                          // replies
constexpr std::uint64_t longest_interval = 1024 << SW_TICK_SHIFT;  // so that times stay comparable

// Exponent of the power of two that is nearest, on a logarithmic scale.
std::uint32_t nearest_shift(double ticks) {
    return static_cast<std::uint32_t>(std::max(0L, std::lround(std::log2(ticks))));
}

std::uint32_t per_second(std::uint64_t syns, unsigned hz, std::uint32_t window_shift) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(((syns * hz) + (1ULL << window_shift) / 2) >> window_shift, UINT32_MAX));
}

class Compiler {
  public:
    Compiler(const Config& config, const HostFacts& host, const Interface& interface,
             const CompiledPolicy* previous)
        : config_(config), host_(host), interface_(interface), previous_(previous) {}

    Result<CompiledPolicy> compile() {
        policy_.sysctls = host_.sysctls;
        keys();
        frame();
        if (auto placed = place_services(); !placed) return tl::unexpected(placed.error());
        sources();
        return std::move(policy_);
    }

  private:
    void keys() {
        sw_config& c = policy_.config;
        if (previous_ && previous_->config.hash_key[0]) {
            std::copy(std::begin(previous_->config.hash_key), std::end(previous_->config.hash_key),
                      c.hash_key);
            return;
        }
        const auto fresh = random_hash_key();
        std::copy(fresh.begin(), fresh.end(), c.hash_key);
    }

    void frame() {
        sw_config& c = policy_.config;
        const unsigned hz = host_.hz;
        std::copy(interface_.mac.begin(), interface_.mac.end(), c.mac);
        // Virtual MACs (macvlan, VRRP) pass unanswered rather than wrongly answered.
        if (interface_.mac != std::array<std::uint8_t, 6>{}) c.flags |= SW_FLAG_CHECK_MAC;
        bool synproxy = false;
        for (const ServiceConfig& s : config_.services)
            synproxy |= s.settings.delivery == SW_DELIVERY_SYNPROXY || may_be_forwarded(config_, s);
        // Where only services tell, they may go again.
        if (config_.daemon.gateway.value_or(false)) c.flags |= SW_FLAG_GATEWAY;
        if (synproxy || host_.sysctls.tcp_timestamps == 2) c.flags |= SW_FLAG_TIMESTAMP_COOKIE;
        // Where nothing is protected yet, nothing is dropped.
        const bool acts = std::ranges::any_of(config_.services, [](const ServiceConfig& s) {
            return s.settings.mode == SW_MODE_AUTO || s.settings.mode == SW_MODE_COOKIE;
        });
        c.fragment = acts ? config_.defaults.fragment : SW_ACTION_PASS;
        c.malformed = acts ? config_.defaults.malformed : SW_ACTION_PASS;
        c.epoch_shift = static_cast<std::uint8_t>(nearest_shift(hz * 60.0));
        c.window_shift = nearest_shift(hz / 8.0);
        c.grace_ticks = std::max(2u, hz / 50);
        c.listener_ticks = std::max(1u, hz / 10);
        c.sample_ticks = std::max(1u, hz / SW_SAMPLES_PER_SECOND);
        c.hz = hz;
        const unsigned spread = receiving_cpus(host_, interface_);
        c.reply = rate_limit(config_.limits.reply_rate, spread, hz);
        c.prefix = rate_limit(config_.limits.prefix_rate, spread, hz);
        if (config_.escalates()) c.flags |= SW_FLAG_REPORT;
        if (interface_.vrf) c.flags |= SW_FLAG_VRF;
        if (interface_.vrf_tagged) c.flags |= SW_FLAG_VRF_TAGGED;
        if (interface_.vrf || interface_.vrf_tagged)
            note_once(
                fmt::format("{} end in a VRF or bridge: only listeners bound to {} itself are protected "
                            "there, what others get passes (docs/kernels.md)",
                            interface_.vrf ? "its packets" : "packets of its VLANs", interface_.name));
        // Packets whose port cannot be read belong to no service.
        budget(config_.defaults, policy_.services[0]);
    }

    void budget(const Settings& set, sw_service& out) const {
        const unsigned spread = receiving_cpus(host_, interface_);
        out.escalate_default = set.escalate_default;
        out.escalate = rate_limit(set.escalate_rate, spread, host_.hz);
    }

    // The index of the name, else one that was free, else one that is free now.
    unsigned place(const std::string& name) {
        if (const unsigned known = previous_ ? previous_->find(name) : 0) return known;
        auto used_now = [&](unsigned i) {
            if (policy_.services[i].name[0]) return true;
            return std::any_of(config_.services.begin(), config_.services.end(), [&](const ServiceConfig& s) {
                return previous_ && previous_->find(s.name) == i;
            });
        };
        for (unsigned i = 1; i < SW_SERVICES; i++)
            if (!(previous_ && previous_->services[i].name[0]) && !used_now(i)) return i;
        for (unsigned i = 1; i < SW_SERVICES; i++)
            if (!used_now(i)) return i;
        return 0;
    }

    Result<void> place_services() {
        for (const ServiceConfig& s : config_.services) {
            const unsigned index = place(s.name);
            if (!index)
                return fail(ErrorCode::config, fmt::format("service '{}': there is room for {} services only",
                                                           s.name, SW_SERVICES - 1));
            auto compiled = service(s);
            if (!compiled) return tl::unexpected(compiled.error());
            policy_.services[index] = *compiled;
            for (const std::uint16_t port : s.ports) {
                policy_.ports[port] =
                    s.everywhere() ? static_cast<std::uint16_t>(index) : std::uint16_t{SW_PORT_BY_ADDRESS};
                for (const Address& a : s.addresses)
                    policy_.addresses.push_back({a, port, static_cast<std::uint16_t>(index)});
            }
        }
        LocalPlaces local = place_local(config_.services);
        for (const LocalPlaces::Place& place : local.places)
            policy_.addresses.push_back(
                {place.address, place.port, static_cast<std::uint16_t>(policy_.find(*place.service))});
        for (const auto& [service, why] : local.left)
            note_once(fmt::format("service '{}': {}", service, why));
        return {};
    }

    Result<sw_service> service(const ServiceConfig& s) {
        const Settings& set = s.settings;
        auto choice = choose_delivery(set.delivery, host_, may_be_forwarded(config_, s));
        if (!choice) {
            choice.error().message = fmt::format("service '{}': {}", s.name, choice.error().message);
            return tl::unexpected(choice.error());
        }
        note_once(fmt::format("delivery {}: {}", delivery_name(choice->delivery), choice->why));

        sw_service out{};
        s.name.copy(out.name, sizeof out.name - 1);
        out.mode = set.mode;
        out.local = s.local;
        out.delivery = static_cast<std::uint8_t>(choice->delivery);
        out.stray = set.stray;
        out.fragment = set.fragment;
        out.malformed = set.malformed;
        out.odd_syn = set.odd_syn;
        budget(set, out);
        out.ttl[SW_IPV4] = host_.sysctls.ttl;
        out.ttl[SW_IPV6] = host_.sysctls.hop_limit;
        negotiate(s, out);
        windows(set, out);
        const sw_config& c = policy_.config;
        out.arm_syns = syns_in_window(set.arm_rate, host_.hz, c.window_shift);
        out.disarm_syns = std::min(out.arm_syns, syns_in_window(set.disarm(), host_.hz, c.window_shift));
        out.hold_ticks = ticks_of(set.hold, host_.hz);
        return out;
    }

    // What the reply may offer. Behind SYNPROXY the server is another host, else
    // the listener's kernel must agree: what its sysctls forbid makes it refuse
    // the connection (-EINVAL from bpf_sk_assign_tcp_reqsk).
    void negotiate(const ServiceConfig& s, sw_service& out) {
        const Settings& set = s.settings;
        const Sysctls& sys = host_.sysctls;
        const bool synproxy = out.delivery == SW_DELIVERY_SYNPROXY;
        auto offer = [&](unsigned bit, const char* key, std::optional<bool> wanted, bool fallback, bool able,
                         const char* sysctl) {
            if (wanted.value_or(fallback) && able) out.options |= bit;
            if (wanted.value_or(false) && !able)
                note_once(fmt::format("service '{}': {} is not offered, because the sysctl {} is off", s.name,
                                      key, sysctl));
        };
        offer(SW_OPTION_SACK, "sack", set.sack, true, synproxy || sys.tcp_sack, "net.ipv4.tcp_sack");
        offer(SW_OPTION_TIMESTAMP, "timestamps", set.timestamps, true, synproxy || sys.tcp_timestamps,
              "net.ipv4.tcp_timestamps");
        offer(SW_OPTION_ECN, "ecn", set.ecn, !synproxy, synproxy || sys.tcp_ecn, "net.ipv4.tcp_ecn");
        offer(SW_OPTION_WSCALE, "wscale", std::nullopt, true, synproxy || sys.tcp_window_scaling,
              "net.ipv4.tcp_window_scaling");

        const std::uint8_t mirrored = synproxy ? synproxy_wscale : host_wscale(sys);
        out.wscale = set.wscale.value_or(mirrored);
        if (out.delivery != SW_DELIVERY_KERNEL) return;
        if (out.wscale != mirrored)
            note_once(
                fmt::format("service '{}': wscale {} is announced, not {}: with delivery 'kernel' the "
                            "listener computes it from tcp_rmem and rmem_max",
                            s.name, mirrored, out.wscale));
        out.wscale = mirrored;
        // With 1 the kernel adds a random offset to every connection's timestamps, so
        // that what a cookie hid in them is lost.
        if (sys.tcp_timestamps != 2 && out.options) {
            out.options = 0;
            note_once(
                "delivery kernel: only the MSS survives a cookie, because net.ipv4.tcp_timestamps is not 2");
        }
    }

    void windows(const Settings& set, sw_service& out) {
        const bool synproxy = out.delivery == SW_DELIVERY_SYNPROXY;
        for (unsigned family = 0; family < SW_FAMILIES; family++) {
            const unsigned room = segment_room(interface_, static_cast<sw_family>(family));
            const unsigned mss = std::min<unsigned>(room, set.mss.value_or(room));
            out.mss[family] = htons(static_cast<std::uint16_t>(mss));
            // SYNPROXY opens the window when the server has answered.
            if (synproxy) continue;
            // As Linux does: whole segments (tcp_select_initial_window()).
            const unsigned segment[2] = {mss, mss - timestamp_bytes};
            for (unsigned i = 0; i < 2; i++)
                out.window[family][i] = htons(static_cast<std::uint16_t>(65535 / segment[i] * segment[i]));
        }
    }

    void sources() {
        for (const Prefix& p : config_.sources.deny) policy_.sources.push_back({p, SW_FATE_DENY});
        for (const Prefix& p : config_.sources.allow) policy_.sources.push_back({p, SW_FATE_ALLOW});
        std::sort(policy_.sources.begin(), policy_.sources.end(),
                  [](const SourceEntry& a, const SourceEntry& b) { return a.prefix < b.prefix; });
    }

    void note_once(std::string note) {
        auto& notes = policy_.notes;
        if (std::find(notes.begin(), notes.end(), note) == notes.end()) notes.push_back(std::move(note));
    }

    const Config& config_;
    const HostFacts& host_;
    const Interface& interface_;
    const CompiledPolicy* previous_;
    CompiledPolicy policy_;
};

}  // namespace

unsigned CompiledPolicy::find(std::string_view name) const {
    if (name.empty()) return 0;
    for (unsigned i = 1; i < SW_SERVICES; i++)
        if (name == services[i].name) return i;
    return 0;
}

Result<CompiledPolicy> compile_policy(const Config& config, const HostFacts& host, const Interface& interface,
                                      const CompiledPolicy* previous) {
    return Compiler(config, host, interface, previous).compile();
}

std::vector<ServiceView> view_services(const CompiledPolicy& policy) {
    const unsigned hz = std::max(1u, policy.config.hz);
    std::vector<ServiceView> views;
    std::array<int, SW_SERVICES> at{};
    at.fill(-1);
    for (unsigned i = 1; i < SW_SERVICES; i++) {
        const sw_service& s = policy.services[i];
        if (!s.name[0]) continue;
        at[i] = static_cast<int>(views.size());
        ServiceView view{.index = i, .name = s.name, .service = s};
        view.arm_rate = per_second(s.arm_syns, hz, policy.config.window_shift);
        view.disarm_rate = per_second(s.disarm_syns, hz, policy.config.window_shift);
        view.hold = std::chrono::milliseconds(std::uint64_t{s.hold_ticks} * 1000 / hz);
        views.push_back(std::move(view));
    }
    for (unsigned port = 0; port < SW_PORTS; port++)
        if (const unsigned i = policy.ports[port]; i && i < SW_SERVICES && at[i] >= 0)
            views[at[i]].ports.push_back(static_cast<std::uint16_t>(port));
    for (const AddressEntry& entry : policy.addresses)
        if (entry.service < SW_SERVICES && at[entry.service] >= 0)
            views[at[entry.service]].addresses.emplace_back(entry.address, entry.port);
    return views;
}

std::uint32_t ticks_of(std::chrono::milliseconds time, unsigned hz) {
    return static_cast<std::uint32_t>(std::max<std::int64_t>(1, time.count() * hz / 1000));
}

std::uint32_t syns_in_window(std::uint64_t per_second, unsigned hz, std::uint32_t window_shift) {
    const std::uint64_t syns = ((per_second << window_shift) + hz / 2) / hz;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(syns, 1, UINT32_MAX));
}

unsigned receiving_cpus(const HostFacts& host, const Interface& interface) {
    return std::max(1u, std::min(host.cpus, interface.rx_queues));
}

unsigned segment_room(const Interface& interface, sw_family family) {
    const unsigned headers = family == SW_IPV4 ? headers4 : headers6;
    return std::max(std::min(interface.mtu, 65535u), headers + least_mss) - headers;
}

sw_rate_limit rate_limit(std::uint32_t rate, unsigned cpus, unsigned hz) {
    if (!rate || !cpus || !hz) return {0, 0};
    // Rounded up: a limit is never exceeded.
    const std::uint64_t second = (std::uint64_t{cpus} * hz) << SW_TICK_SHIFT;
    const std::uint64_t interval = std::min(second / rate + (second % rate != 0), longest_interval);
    // Less than a unit apart is more than any machine can send.
    if (second < rate) return {0, 0};
    // A quarter of a second, but never less than a handful of replies.
    const std::uint64_t quarter = (std::uint64_t{hz} << SW_TICK_SHIFT) / 4;
    const std::uint64_t tolerance = std::max(quarter, least_burst * interval);
    return {static_cast<std::uint32_t>(interval), static_cast<std::uint32_t>(tolerance)};
}

std::uint8_t host_wscale(const Sysctls& sysctls) {
    const std::uint32_t space = std::max({sysctls.tcp_rmem_max, sysctls.rmem_max, 1u});
    return static_cast<std::uint8_t>(std::clamp(static_cast<int>(std::bit_width(space)) - 1 - 15, 0, 14));
}

}  // namespace synward
