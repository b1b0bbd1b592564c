// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/policy_config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "lib/abi/flow.h"
#include "lib/gateway.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// As the config allows.
constexpr std::uint32_t most_escalated = 10'000'000;
constexpr std::uint32_t most_syns = 100'000'000;
constexpr std::uint16_t least_announced_mss = 256;

// The number with the most zeros at its end for which `same` holds; `exact` is one.
template <typename Same>
std::uint32_t roundest(std::uint32_t exact, Same same) {
    for (std::uint64_t step = 1'000'000'000; step > 1; step /= 10)
        for (const std::uint64_t number : {exact / step * step, exact / step * step + step})
            if (number && number <= UINT32_MAX && same(static_cast<std::uint32_t>(number)))
                return static_cast<std::uint32_t>(number);
    return exact;
}

// The rate that rate_limit() made this of; `none` where there is no limit.
std::uint32_t rate_of(const sw_rate_limit& limit, unsigned cpus, unsigned hz, std::uint32_t usual,
                      std::uint32_t none) {
    const auto same = [&](std::uint32_t rate) {
        const sw_rate_limit made = rate_limit(rate, cpus, hz);
        return made.interval == limit.interval && made.tolerance == limit.tolerance;
    };
    if (same(usual)) return usual;
    if (!limit.tolerance || !limit.interval) return none;
    const std::uint64_t second = (std::uint64_t{cpus} * hz) << SW_TICK_SHIFT;
    // Rounded up, since intervals were; but the longest one stands for all that are longer.
    const std::uint64_t exact = second / limit.interval + (second % limit.interval != 0);
    const std::uint64_t longest = std::max<std::uint64_t>(second / limit.interval, 1);
    const auto rate = static_cast<std::uint32_t>(std::min<std::uint64_t>(exact, UINT32_MAX));
    return roundest(
        same(rate) ? rate : static_cast<std::uint32_t>(std::min<std::uint64_t>(longest, UINT32_MAX)), same);
}

class PolicyReader {
  public:
    PolicyReader(const CompiledPolicy& policy, const HostFacts& host, const Interface& interface,
                 const LocalAddresses& local)
        : policy_(policy),
          host_(host),
          interface_(interface),
          local_(local),
          hz_(std::max(1u, policy.config.hz)),
          cpus_(receiving_cpus(host, interface)) {}

    Config read() {
        config_.daemon.interfaces.push_back(interface_.name);
        const sw_config& c = policy_.config;
        if (!c.abi && !c.hz) return std::move(config_);  // nothing was ever applied
        if (c.flags & SW_FLAG_GATEWAY) config_.daemon.gateway = true;
        limits();
        const auto views = view_services(policy_);
        defaults(views);
        for (const ServiceView& view : views) config_.services.push_back(service(view));
        place_the_rest();
        // Who escalates and is not heard was added by `synward protect`, or says so.
        config_.escalation.enabled = c.flags & SW_FLAG_REPORT;
        return std::move(config_);
    }

  private:
    void limits() {
        const sw_config& c = policy_.config;
        LimitsConfig& l = config_.limits;
        l.reply_rate = rate_of(c.reply, cpus_, hz_, l.reply_rate, 0);
        l.prefix_rate = rate_of(c.prefix, cpus_, hz_, l.prefix_rate, 0);
        // Of a policy that was compiled only, the maps say nothing.
        if (!c.abi) return;
        l.flows = (1u << c.flow_shift) * SW_FLOW_WAYS;
        l.sources = (1u << c.source_shift) * (SW_SOURCE_WAYS / 2);
    }

    void defaults(const std::vector<ServiceView>& views) {
        Settings& d = config_.defaults;
        const sw_service& none = policy_.services[0];
        if (none.escalate.tolerance) {
            d.escalate_rate = escalate_rate(none);
            d.escalate_default = static_cast<sw_action>(none.escalate_default);
        }
        // Where no service acts, these are not in force whatever the config says.
        const bool acts = std::ranges::any_of(views, [](const ServiceView& view) {
            return view.service.mode == SW_MODE_AUTO || view.service.mode == SW_MODE_COOKIE;
        });
        if (!acts) return;
        d.fragment = static_cast<sw_action>(policy_.config.fragment);
        d.malformed = static_cast<sw_action>(policy_.config.malformed);
    }

    std::uint32_t escalate_rate(const sw_service& service) const {
        return std::min(rate_of(service.escalate, cpus_, hz_, Settings{}.escalate_rate, most_escalated),
                        most_escalated);
    }

    ServiceConfig service(const ServiceView& view) const {
        const sw_service& s = view.service;
        ServiceConfig out{.name = view.name, .ports = view.ports};
        out.local = s.local;
        std::set<std::uint16_t> ports(view.ports.begin(), view.ports.end());
        std::set<Address> addresses;
        for (const auto& [address, port] : view.addresses) {
            ports.insert(port);
            if (!s.local || !local_.contains(address)) addresses.insert(address);
        }
        out.ports.assign(ports.begin(), ports.end());
        out.addresses.assign(addresses.begin(), addresses.end());
        Settings& set = out.settings;
        set.mode = static_cast<sw_mode>(s.mode);
        set.delivery = static_cast<sw_delivery>(s.delivery);
        set.stray = static_cast<sw_action>(s.stray);
        set.fragment = static_cast<sw_action>(s.fragment);
        set.malformed = static_cast<sw_action>(s.malformed);
        set.odd_syn = static_cast<sw_action>(s.odd_syn);
        set.escalate_rate = escalate_rate(s);
        set.escalate_default = static_cast<sw_action>(s.escalate_default);
        arming(view, set);
        negotiated(s, set);
        return out;
    }

    void arming(const ServiceView& view, Settings& set) const {
        const sw_service& s = view.service;
        const auto syns = [&](std::uint32_t rate) {
            return syns_in_window(rate, hz_, policy_.config.window_shift);
        };
        if (syns(set.arm_rate) != s.arm_syns)
            set.arm_rate = std::clamp(
                roundest(view.arm_rate, [&](std::uint32_t rate) { return syns(rate) == s.arm_syns; }), 1u,
                most_syns);
        const auto disarms = [&](std::uint32_t rate) {
            return rate <= set.arm_rate && std::min(s.arm_syns, syns(rate)) == s.disarm_syns;
        };
        if (!disarms(set.disarm()))
            set.disarm_rate =
                std::clamp(roundest(std::min(view.disarm_rate, set.arm_rate), disarms), 1u, set.arm_rate);
        if (ticks_of(set.hold, hz_) == s.hold_ticks) return;
        const std::uint64_t exact = (std::uint64_t{s.hold_ticks} * 1000 + hz_ - 1) / hz_;
        const auto hold = roundest(
            static_cast<std::uint32_t>(std::min<std::uint64_t>(exact, UINT32_MAX)),
            [&](std::uint32_t ms) { return ticks_of(std::chrono::milliseconds(ms), hz_) == s.hold_ticks; });
        set.hold = std::clamp<std::chrono::milliseconds>(std::chrono::milliseconds(hold), 100ms, 24h);
    }

    // What the SYN-ACK announces, where it is not what the host and the interface make of it.
    void negotiated(const sw_service& s, Settings& set) const {
        const Sysctls& sys = host_.sysctls;
        const bool synproxy = s.delivery == SW_DELIVERY_SYNPROXY;
        const std::uint16_t mss = ntohs(s.mss[SW_IPV4]);
        if (mss >= least_announced_mss && mss < segment_room(interface_, SW_IPV4)) set.mss = mss;
        if (s.delivery == SW_DELIVERY_KERNEL) {
            // The kernel computes the window scale; without its timestamps there are no options.
            const bool cleared =
                sys.tcp_timestamps != 2 || (sys.tcp_window_scaling && !(s.options & SW_OPTION_WSCALE));
            if (cleared) return;
        } else if (s.wscale != (synproxy ? synproxy_wscale : host_wscale(sys))) {
            set.wscale = s.wscale;
        }
        const auto differs = [&](std::optional<bool>& wanted, unsigned bit, bool usual, bool able) {
            const bool offered = s.options & bit;
            if (able && offered != usual) wanted = offered;
        };
        differs(set.sack, SW_OPTION_SACK, true, synproxy || sys.tcp_sack);
        differs(set.timestamps, SW_OPTION_TIMESTAMP, true, synproxy || sys.tcp_timestamps);
        differs(set.ecn, SW_OPTION_ECN, !synproxy, synproxy || sys.tcp_ecn);
    }

    // Ports of a local service while nothing is local are of no address.
    void place_the_rest() {
        std::set<std::uint16_t> held;
        for (const AddressEntry& entry : policy_.addresses) held.insert(entry.port);
        auto& services = config_.services;
        const auto waits = [](const ServiceConfig& s) { return s.local && s.ports.empty(); };
        const auto waiting = std::ranges::find_if(services, waits);
        for (unsigned port = 1; port < SW_PORTS && waiting != services.end(); port++)
            if (policy_.ports[port] == SW_PORT_BY_ADDRESS && !held.contains(static_cast<std::uint16_t>(port)))
                waiting->ports.push_back(static_cast<std::uint16_t>(port));
        // Of several, the maps do not tell which has which ports.
        std::erase_if(services, [](const ServiceConfig& s) { return s.ports.empty(); });
    }

    const CompiledPolicy& policy_;
    const HostFacts& host_;
    const Interface& interface_;
    const LocalAddresses& local_;
    unsigned hz_;
    unsigned cpus_;
    Config config_;
};

using Places = std::set<std::pair<Address, std::uint16_t>>;

struct Seen {
    sw_service service{};
    Places places;  // Address{}: every address
};

std::map<std::string, Seen> services_by_name(const CompiledPolicy& policy) {
    std::map<std::string, Seen> found;
    for (const ServiceView& view : view_services(policy)) {
        Seen& seen = found[view.name];
        seen.service = view.service;
        seen.places.insert(view.addresses.begin(), view.addresses.end());
        for (const std::uint16_t port : view.ports) seen.places.insert({Address{}, port});
    }
    return found;
}

bool same_service(const sw_service& a, const sw_service& b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

bool same_limit(const sw_rate_limit& a, const sw_rate_limit& b) {
    return a.interval == b.interval && a.tolerance == b.tolerance;
}

}  // namespace

Config config_of(const CompiledPolicy& policy, const HostFacts& host, const Interface& interface,
                 const LocalAddresses& local) {
    return PolicyReader(policy, host, interface, local).read();
}

void prefer_auto(Config& config, const HostFacts& host) {
    for (ServiceConfig& service : config.services) {
        sw_delivery& delivery = service.settings.delivery;
        // Without daemon.gateway, a service that says synproxy is what makes it a gateway.
        if (delivery == SW_DELIVERY_SYNPROXY && !config.daemon.gateway.value_or(false)) continue;
        const sw_delivery wanted = std::exchange(delivery, SW_DELIVERY_AUTO);
        const auto choice = choose_delivery(SW_DELIVERY_AUTO, host, may_be_forwarded(config, service));
        if (!choice || choice->delivery != wanted) delivery = wanted;
    }
}

std::vector<std::string> differences(const CompiledPolicy& a, const CompiledPolicy& b) {
    std::vector<std::string> different;
    const auto here = services_by_name(a);
    auto there = services_by_name(b);
    for (const auto& [name, seen] : here) {
        const auto other = there.find(name);
        if (other == there.end() || !same_service(seen.service, other->second.service) ||
            seen.places != other->second.places)
            different.push_back(name);
        if (other != there.end()) there.erase(other);
    }
    for (const auto& [name, seen] : there) different.push_back(name);
    const sw_config& x = a.config;
    const sw_config& y = b.config;
    if (!same_limit(x.reply, y.reply) || !same_limit(x.prefix, y.prefix)) different.emplace_back("limits");
    constexpr std::uint32_t counted = SW_FLAG_GATEWAY | SW_FLAG_TIMESTAMP_COOKIE;
    if (x.fragment != y.fragment || x.malformed != y.malformed || (x.flags ^ y.flags) & counted ||
        !same_service(a.services[0], b.services[0]))
        different.emplace_back("defaults");
    return different;
}

}  // namespace synward
