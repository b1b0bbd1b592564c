// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset_lab.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <ctime>
#include <random>
#include <stdexcept>
#include <vector>

#include "cpu.h"
#include "lib/netlink.h"
#include "link.h"
#include "nft_counter.h"
#include "process.h"

namespace synward::bench {
namespace {

constexpr uint16_t kPort = 9000;
constexpr uint32_t kSources = 0xc6120000;  // 198.18.0.0/15: nobody denies it
constexpr uint32_t kSourceCount = 1 << 17;
constexpr uint32_t kFlows = 1024;             // that are established
constexpr uint64_t kMostConnections = 32768;  // of one measurement: conntrack has room for them
constexpr uint64_t kFewestPackets = 256;
constexpr uint32_t kBatch = 64;           // frames, as of a poll of a network card
constexpr uint32_t kFrames = 128 * 1024;  // of one system call, whose end takes ten milliseconds
constexpr auto kPatience = std::chrono::seconds(60);

// Behind the confirmation of new connections, which has the last priority too: what is
// registered first among equals comes last.
constexpr const char* kEnd = R"(table inet bench {{
    counter passed {{ }}
    chain end {{
        type filter hook input priority 2147483647; policy accept;
        udp dport {0} counter name passed drop
    }}
}}
)";
// No packet comes by this rule, but where it is, connections are tracked.
constexpr const char* kTracking = R"(table inet bench {
    chain never {
        ct state new accept
    }
}
)";

uint32_t sum_of(const void* from, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint16_t word;
        memcpy(&word, static_cast<const char*>(from) + i, 2);
        sum += word;
    }
    return sum;
}

bench_traffic compose_datagram(const Mac& to, const Mac& from, unsigned interface) {
    bench_traffic traffic{};
    ethhdr ethernet{};
    memcpy(ethernet.h_dest, to.data(), ETH_ALEN);
    memcpy(ethernet.h_source, from.data(), ETH_ALEN);
    ethernet.h_proto = htons(ETH_P_IP);
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.tot_len = htons(BENCH_TRAFFIC_FRAME - sizeof(ethernet));
    ip.ttl = 64;
    ip.protocol = IPPROTO_UDP;
    inet_pton(AF_INET, RulesetLab::kHostAddress, &ip.daddr);
    udphdr udp{};
    udp.dest = htons(kPort);
    udp.len = htons(BENCH_TRAFFIC_FRAME - sizeof(ethernet) - sizeof(ip));
    memcpy(traffic.frame, &ethernet, sizeof(ethernet));
    memcpy(traffic.frame + sizeof(ethernet), &ip, sizeof(ip));
    memcpy(traffic.frame + sizeof(ethernet) + sizeof(ip), &udp, sizeof(udp));
    traffic.ip_sum = sum_of(&ip, sizeof(ip));
    traffic.interface = interface;
    return traffic;
}

void attach(const Netns& netns, const std::string& name, int program) {
    const Netns::Inside inside(netns);
    const int error =
        bpf_xdp_attach(static_cast<int>(if_nametoindex(name.c_str())), program, XDP_FLAGS_DRV_MODE, nullptr);
    if (error != 0) throw std::runtime_error(fmt::format("cannot attach to {}: {}", name, strerror(-error)));
}

// The receiving threads bear the interfaces' names, which must therefore be unique.
std::string unique_name(char end) {
    static std::atomic<unsigned> labs{0};
    return fmt::format("b{}{}{}", labs++, end, getpid() % 10'000'000);
}

}  // namespace

RulesetLab::RulesetLab(const LabOptions& options, bool tracked)
    : options_(options),
      pass_(BpfObject::embedded(Helper::kWire)),
      object_(BpfObject::embedded(Helper::kTraffic)),
      host_end_(unique_name('h')),
      outside_end_(unique_name('o')) {
    // before the interfaces are up, so that nothing of IPv6 is ever sent
    host_.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    outside_.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    make_veth(outside_, outside_end_, host_, host_end_);
    outside_.ip(fmt::format("addr add 192.0.2.2/24 dev {}", outside_end_));
    host_.ip(fmt::format("addr add {}/24 dev {}", kHostAddress, host_end_));
    host_.ip("route add default via 192.0.2.2");
    const auto link = [](const Netns& netns, const std::string& name) {
        const Netns::Inside inside(netns);
        return read_link(name);
    };
    const Link host = link(host_, host_end_), outside = link(outside_, outside_end_);
    host_.ip(fmt::format("neigh replace 192.0.2.2 lladdr {} dev {}", to_string(outside.mac), host_end_));
    outside_.ip(
        fmt::format("neigh replace {} lladdr {} dev {}", kHostAddress, to_string(host.mac), outside_end_));
    // One packet on the wire is one packet for the firewall.
    for (const auto& [netns, name] : {std::pair(&host_, host_end_), std::pair(&outside_, outside_end_)}) {
        const Netns::Inside inside(*netns);
        run_line(fmt::format("ethtool -K {} tso off gso off gro off", name));
    }
    attach(host_, host_end_, pass_.program("bench_pass"));
    attach(outside_, outside_end_, pass_.program("bench_pass"));
    receiver_ = receive_on_cpu(host_, host_end_, options_.cpu);
    receive_on_cpu(outside_, outside_end_, std::max(options_.sender_cpu, 0));

    {
        const Netns::Inside inside(host_);
        run_command({"nft", "-f", "-"}, fmt::format(kEnd, kPort) + (tracked ? kTracking : ""));
        replier_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(kPort)};
        inet_pton(AF_INET, kHostAddress, &address.sin_addr);
        if (!replier_ ||
            bind(replier_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
            throw std::runtime_error(fmt::format("cannot open a UDP socket: {}", strerror(errno)));
    }
    if (tracked) {
        // a connection lasts as long as its measurement, whatever holds it up
        host_.sysctl("net/netfilter/nf_conntrack_udp_timeout", "3600");
        host_.sysctl("net/netfilter/nf_conntrack_udp_timeout_stream", "3600");
    }
    traffic_ = compose_datagram(host.mac, outside.mac, outside.index);
    std::random_device random;
    object_.fill_per_cpu<bench_progress>("bench_progress", 0, [&](int) {
        return bench_progress{.seed = uint64_t{random()} << 32 | random() | 1};
    });
}

void RulesetLab::aim(uint32_t base, uint32_t span, bool random_port) {
    traffic_.base = base;
    traffic_.span = span;
    traffic_.random_port = random_port;
    object_.store("bench_traffic", 0, traffic_);
}

void RulesetLab::send(uint32_t frames) {
    const Netns::Inside inside(outside_);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = traffic_.frame, .data_size_in = BENCH_TRAFFIC_FRAME,
                .repeat = static_cast<int>(frames), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
                .batch_size = std::min(frames, kBatch));
    if (const int error = bpf_prog_test_run_opts(object_.program("bench_traffic_xdp"), &run);
        error != 0 && error != -EINTR)
        throw std::runtime_error(fmt::format(
            "cannot send frames by BPF_PROG_TEST_RUN (Linux 5.18 and later, as root): {}", strerror(-error)));
}

uint64_t RulesetLab::received() const {
    const Netns::Inside inside(host_);
    return read_link(host_end_).rx_packets;
}

uint64_t RulesetLab::lost() const {
    const Netns::Inside inside(outside_);
    return read_link(outside_end_).tx_dropped;
}

uint64_t RulesetLab::made() const {
    uint64_t sum = 0;
    for (const auto& each : object_.per_cpu<bench_progress>("bench_progress", 0)) sum += each.made;
    return sum;
}

uint64_t RulesetLab::passed() const {
    const Netns::Inside inside(host_);
    return read_nft_counter(NFPROTO_INET, "bench", "passed");
}

uint64_t RulesetLab::cpu_time() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(receiver_, &clock) != 0 || clock_gettime(clock, &time) != 0)
        throw std::runtime_error("cannot read the CPU time of the receiving thread");
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// Every frame is lost at once or received later.
void RulesetLab::wait_until_received() const {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
        const uint64_t due = (made() - made_before_) - (lost() - lost_before_);
        if (received() - received_before_ == due) return;
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error(fmt::format("of {} packets {} were received within {} s", due,
                                                 received() - received_before_, kPatience.count()));
        poll(nullptr, 0, 1);
    }
}

void RulesetLab::forget_connections() const {
    const Netns::Inside inside(host_);
    auto socket = NetlinkSocket::open(NETLINK_NETFILTER);
    if (!socket) throw std::runtime_error(socket.error().message);
    alignas(nlmsghdr) std::array<char, 64> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg));
    const auto answer = socket->ask({buffer.data(), request->nlmsg_len});
    if (answer.error != 0)
        throw std::runtime_error(fmt::format("cannot flush conntrack: {}", strerror(answer.error)));
}

// The host's datagram makes the connection, the first one from outside is its reply.
void RulesetLab::establish() const {
    for (uint32_t flow = 0; flow < kFlows; ++flow) {
        const sockaddr_in to{.sin_family = AF_INET,
                             .sin_port = htons(static_cast<uint16_t>(1024 + flow)),
                             .sin_addr = {.s_addr = htonl(kSources + flow)},
                             .sin_zero = {}};
        if (sendto(replier_.get(), "", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 1)
            throw std::runtime_error(fmt::format("cannot send a reply: {}", strerror(errno)));
    }
}

Sample RulesetLab::measure(Traffic traffic, const Denied& denied) {
    pin_to_cpu(options_.sender_cpu);
    lost_before_ = lost();
    made_before_ = made();
    received_before_ = received();
    forget_connections();
    switch (traffic) {
        case Traffic::kNew:
            aim(kSources, kSourceCount, true);
            break;
        case Traffic::kEstablished:
            establish();
            aim(kSources, kFlows, false);
            break;
        case Traffic::kDenied:
            aim(denied.first, denied.count, true);
            break;
    }
    const uint64_t start = cpu_time(), first = received(), passed_before = passed();
    const auto wanted = static_cast<uint64_t>(options_.sample * 1e6);
    uint64_t time = 0, packets = 0;
    while (time < wanted || packets < kFewestPackets) {
        if (traffic != Traffic::kEstablished && packets >= kMostConnections) break;
        send(kFrames);
        wait_until_received();
        time = cpu_time() - start;
        packets = received() - first;
    }
    const uint64_t went = passed() - passed_before;
    if (const uint64_t expected = traffic == Traffic::kDenied ? 0 : packets; went != expected)
        throw std::runtime_error(fmt::format("the host let {} of {} packets go, and should have let {} go",
                                             went, packets, expected));
    return {.ns = static_cast<double>(time) / static_cast<double>(packets), .packets = packets};
}

}  // namespace synward::bench
