// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire.h"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <stdexcept>

#include "cpu.h"
#include "flood.h"
#include "link.h"
#include "listener.h"
#include "output.h"
#include "process.h"

namespace synward::bench {
namespace {

struct Seen {  // struct bench_seen of bpf/wire.bpf.c
    uint64_t replies = 0;
    uint64_t others = 0;
};

// The two ends: "outer" floods, "inner" answers.
class Pair {
  public:
    explicit Pair(const WireOptions& options)
        : options_(options), object_(BpfObject::embedded(Helper::kWire)) {
        make_veth(outer_, "outer", inner_, "inner");
        outer_.ip("addr add 192.0.2.2/24 dev outer");
        inner_.ip("addr add 192.0.2.1/24 dev inner");
        outer_.ip("addr add 2001:db8::2/64 dev outer nodad");
        inner_.ip("addr add 2001:db8::1/64 dev inner nodad");
        inner_.ip("route add 198.18.0.0/15 via 192.0.2.2");
        inner_.ip("route add 2001:db8:bad::/48 via 2001:db8::2");
        const Mac outer = mac_of(outer_, "outer");
        inner_.ip(fmt::format("neigh replace 192.0.2.2 lladdr {} dev inner", to_string(outer)));
        inner_.ip(fmt::format("neigh replace 2001:db8::2 lladdr {} dev inner", to_string(outer)));
        attach(outer_, "outer", object_.program("bench_sink"));
    }

    const Netns& inner() const { return inner_; }
    const BpfObject& helpers() const { return object_; }
    void attach_inner(int program) { attach(inner_, "inner", program); }

    void round(WireResult& result, std::vector<double>& frames) {
        const Netns::Inside inside(outer_);
        if (!flood_) {
            FloodOptions flood;
            flood.interface = "outer";
            flood.to = parse_address(options_.ipv6 ? "2001:db8::1" : "192.0.2.1");
            flood.source = parse_prefix(options_.ipv6 ? "2001:db8:bad::/48" : "198.18.0.0/15");
            flood.to_mac = mac_of(inner_, "inner");
            flood.port = options_.port;
            flood.seconds = options_.seconds;
            flood.cpu = options_.cpu;
            flood_ = std::make_unique<Flood>(flood);
        }
        const uint64_t before = replies();
        const FloodReport report = flood_->run();
        result.rounds.push_back(static_cast<double>(replies() - before) / report.seconds);
        frames.push_back(static_cast<double>(report.sent) / report.seconds);
    }

  private:
    static Mac mac_of(const Netns& netns, const std::string& name) {
        const Netns::Inside inside(netns);
        return read_link(name).mac;
    }

    static void attach(const Netns& netns, const char* name, int program) {
        const Netns::Inside inside(netns);
        const int error =
            bpf_xdp_attach(static_cast<int>(if_nametoindex(name)), program, XDP_FLAGS_DRV_MODE, nullptr);
        if (error != 0)
            throw std::runtime_error(fmt::format("cannot attach to {}: {}", name, strerror(-error)));
    }

    uint64_t replies() const {
        std::vector<Seen> seen(static_cast<size_t>(libbpf_num_possible_cpus()));
        const uint32_t zero = 0;
        if (bpf_map_lookup_elem(object_.map("bench_seen"), &zero, seen.data()) != 0)
            throw std::runtime_error("cannot read map bench_seen");
        uint64_t sum = 0;
        for (const auto& each : seen) sum += each.replies;
        return sum;
    }

    const WireOptions& options_;
    Netns outer_, inner_;
    BpfObject object_;
    std::unique_ptr<Flood> flood_;
};

struct Contestant {
    explicit Contestant(std::string given) { result.name = std::move(given); }
    WireResult result;
    std::vector<double> frames;
    std::unique_ptr<Pair> pair;
    Fd listener;
    std::unique_ptr<Instance> synward;
};

// As in the nftables wiki, "Synproxy".
constexpr const char* kSynproxy = R"(table inet bench {{
    chain raw {{
        type filter hook prerouting priority raw; policy accept;
        tcp dport {0} tcp flags syn notrack
    }}
    chain input {{
        type filter hook input priority filter; policy accept;
        tcp dport {0} ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
        ct state invalid drop
    }}
}}
)";

void listen_inside(Contestant& contestant, uint16_t port) {
    const Netns::Inside inside(contestant.pair->inner());
    contestant.listener = listen_on(port);
}

void set_up_synproxy(Contestant& contestant, uint16_t port) {
    contestant.pair->attach_inner(contestant.pair->helpers().program("bench_pass"));
    listen_inside(contestant, port);
    const Netns::Inside inside(contestant.pair->inner());
    run_command({"nft", "-f", "-"}, fmt::format(kSynproxy, port));
    contestant.pair->inner().sysctl("net/netfilter/nf_conntrack_tcp_loose", "0");
}

void set_up_kernel(Contestant& contestant, uint16_t port) {
    contestant.pair->inner().sysctl("net/ipv4/tcp_syncookies", "2");
    contestant.pair->attach_inner(contestant.pair->helpers().program("bench_pass"));
    listen_inside(contestant, port);
}

void set_up_synward(Contestant& contestant, uint16_t port, const std::string& object) {
    listen_inside(contestant, port);
    contestant.synward = std::make_unique<Instance>(
        protect(contestant.pair->inner(), "inner", service_config(port, "cookie"), object));
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

double times_of(const WireResult& result, const WireResult& other) {
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(result.rounds.size(), other.rounds.size()); ++i)
        if (other.rounds[i] > 0) ratios.push_back(result.rounds[i] / other.rounds[i]);
    return median(std::move(ratios));
}

std::vector<WireResult> run_wire(const WireOptions& options) {
    const auto peers = open_peers(options.peers);
    std::vector<Contestant> contestants;
    const auto add = [&](const std::string& name, const std::function<void(Contestant&)>& set_up) {
        if (!options.only.empty() &&
            std::find(options.only.begin(), options.only.end(), name) == options.only.end())
            return;
        contestants.emplace_back(name);
        contestants.back().pair = std::make_unique<Pair>(options);
        set_up(contestants.back());
    };
    add("bare XDP_TX",
        [](Contestant& c) { c.pair->attach_inner(c.pair->helpers().program("bench_reflect")); });
    add("synward", [&](Contestant& c) { set_up_synward(c, options.port, options.object); });
    for (const auto& object : options.versus)
        add(std::filesystem::path(object).filename(),
            [&](Contestant& c) { set_up_synward(c, options.port, object); });
    for (const auto& peer : peers)
        add(peer.name(), [&](Contestant& c) {
            listen_inside(c, options.port);
            c.pair->attach_inner(peer.program());
        });
    add("kernel listener", [&](Contestant& c) { set_up_kernel(c, options.port); });
    add("nft synproxy", [&](Contestant& c) { set_up_synproxy(c, options.port); });

    for (unsigned round = 0; round < options.rounds; ++round) {
        for (auto& contestant : contestants) {
            progress(fmt::format("round {} of {}: {}", round + 1, options.rounds, contestant.result.name));
            contestant.pair->round(contestant.result, contestant.frames);
        }
    }
    std::vector<WireResult> results;
    for (auto& contestant : contestants) {
        contestant.result.replies = median(contestant.result.rounds);
        contestant.result.frames = median(contestant.frames);
        results.push_back(std::move(contestant.result));
    }
    return results;
}

}  // namespace synward::bench
