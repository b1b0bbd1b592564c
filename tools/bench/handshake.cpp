// SPDX-License-Identifier: GPL-2.0-or-later
#include "handshake.h"

#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <stdexcept>

#include "cpu.h"
#include "link.h"
#include "listener.h"
#include "output.h"

namespace synward::bench {
namespace {

constexpr uint16_t kPort = 80;
constexpr uint32_t kClients = 32;  // addresses, so that the ports last

constexpr uint64_t kSharedRate = 1'000'000;

// veth takes frames from XDP only where the receiving end has a program.
void attach(const Netns& netns, const std::string& name, int program) {
    const Netns::Inside inside(netns);
    const int error =
        bpf_xdp_attach(static_cast<int>(if_nametoindex(name.c_str())), program, XDP_FLAGS_DRV_MODE, nullptr);
    if (error != 0) throw std::runtime_error(fmt::format("cannot attach to {}: {}", name, strerror(-error)));
}

Mac mac_of(const Netns& netns, const std::string& name) {
    const Netns::Inside inside(netns);
    return read_link(name).mac;
}

}  // namespace

std::string_view to_string(Defence defence) {
    switch (defence) {
        case Defence::kKernel:
            return "kernel, tcp_syncookies=1";
        case Defence::kKernelAlways:
            return "kernel, tcp_syncookies=2";
        default:
            return "synward";
    }
}

Arena::Arena(const HandshakeOptions& options, Defence defence)
    : options_(options), device_(fmt::format("c{}", getpid())), helpers_(BpfObject::embedded(Helper::kWire)) {
    make_veth(clients_, "out", server_, device_);
    make_veth(attacker_, "out", server_, "attack");
    server_.ip(fmt::format("addr add 192.0.2.1/24 dev {}", device_));
    server_.ip(fmt::format("addr add 2001:db8::1/64 dev {} nodad", device_));
    server_.ip("addr add 203.0.113.1/24 dev attack");
    server_.ip("addr add 2001:db8:1::1/64 dev attack nodad");
    attacker_.ip("addr add 203.0.113.2/24 dev out");
    attacker_.ip("addr add 2001:db8:1::2/64 dev out nodad");
    for (uint32_t i = 0; i < kClients; ++i) {
        clients_.ip(fmt::format("addr add 192.0.2.{}/24 dev out", 100 + i));
        clients_.ip(fmt::format("addr add 2001:db8::{:x}/64 dev out nodad", 0x100 + i));
    }
    clients_.sysctl("net/ipv4/ip_local_port_range", "1024 65535");
    clients_.ip(
        fmt::format("neigh replace 192.0.2.1 lladdr {} dev out", to_string(mac_of(server_, device_))));
    clients_.ip(
        fmt::format("neigh replace 2001:db8::1 lladdr {} dev out", to_string(mac_of(server_, device_))));
    // replies to spoofed sources go back where the flood comes from, and are lost there
    const std::string back = options.shared ? device_ : "attack";
    const std::string via4 = options.shared ? "192.0.2.100" : "203.0.113.2";
    const std::string via6 = options.shared ? "2001:db8::100" : "2001:db8:1::2";
    const std::string station = to_string(mac_of(options.shared ? clients_ : attacker_, "out"));
    server_.ip(fmt::format("neigh replace {} lladdr {} dev {}", via4, station, back));
    server_.ip(fmt::format("neigh replace {} lladdr {} dev {}", via6, station, back));
    server_.ip("route add 198.18.0.0/15 via " + via4);
    server_.ip("route add 2001:db8:bad::/48 via " + via6);
    attach(attacker_, "out", helpers_.program("bench_sink"));
    attach(clients_, "out", helpers_.program("bench_sink_spoofed"));
    server_.sysctl("net/ipv4/tcp_syncookies", defence == Defence::kKernelAlways ? "2" : "1");
    server_.sysctl("net/core/somaxconn", "4096");
    server_.sysctl("net/ipv4/tcp_max_syn_backlog", "4096");
    clients_mac_ = mac_of(server_, device_);
    attack_mac_ = mac_of(server_, "attack");
    {
        const Netns::Inside inside(server_);
        listener_ = listen_on(kPort);
    }
    for (const auto& name : {device_, std::string("attack")}) {
        if (defence == Defence::kSynward)
            synward_.push_back(std::make_unique<Instance>(
                protect(server_, name, service_config(kPort, options.mode), options.object)));
        else
            attach(server_, name, helpers_.program("bench_pass"));
    }
    if (options.shared) receive_on_cpu(server_, device_, options.flood_cpu);
    responder_ = std::jthread([this](std::stop_token stop) {
        const Netns::Inside inside(server_);
        pin_to_cpu(options_.client_cpu);
        respond(listener_, stop);
    });
}

Arena::~Arena() = default;

FloodReport Arena::flood(std::stop_token stop) {
    const Netns::Inside inside(options_.shared ? clients_ : attacker_);
    FloodOptions attack;
    attack.interface = "out";
    attack.to = parse_address(options_.ipv6 ? "2001:db8::1" : "192.0.2.1");
    attack.source = parse_prefix(options_.ipv6 ? "2001:db8:bad::/48" : "198.18.0.0/15");
    attack.to_mac = options_.shared ? clients_mac_ : attack_mac_;
    attack.port = kPort;
    attack.kind = options_.flood_kind;
    attack.rate = options_.flood_rate;
    attack.seconds = options_.seconds + options_.timeout + 2;
    attack.cpu = options_.flood_cpu;
    if (options_.shared) {
        if (attack.rate == 0) attack.rate = kSharedRate;
        attack.even = true;
        attack.cpu = options_.client_cpu;
        // what keeps the time between two frames must not keep the clients from running
        const sched_param none{};
        (void)sched_setscheduler(0, SCHED_IDLE, &none);
    }
    return Flood(attack).run(stop);
}

ConnectReport Arena::connect() {
    const Netns::Inside inside(clients_);
    pin_to_cpu(options_.client_cpu);
    ConnectOptions clients;
    clients.to = parse_address(options_.ipv6 ? "2001:db8::1" : "192.0.2.1");
    clients.port = kPort;
    for (uint32_t i = 0; i < kClients; ++i)
        clients.from.push_back(offset(parse_address(options_.ipv6 ? "2001:db8::100" : "192.0.2.100"), i));
    clients.rate = options_.rate;
    clients.outstanding = options_.outstanding;
    clients.seconds = options_.seconds;
    clients.timeout = options_.timeout;
    return run_connections(clients);
}

Arena::Result Arena::run(bool flooded) {
    Result result;
    std::exception_ptr flood_failure, client_failure;
    std::jthread flooder;
    if (flooded)
        flooder = std::jthread([&](std::stop_token stop) {
            try {
                result.flood = flood(stop);
            } catch (...) {
                flood_failure = std::current_exception();
            }
        });
    // a thread of its own, since it changes its namespace and its CPU
    std::thread([&] {
        try {
            result.clients = connect();
        } catch (...) {
            client_failure = std::current_exception();
        }
    }).join();
    if (flooder.joinable()) {
        flooder.request_stop();
        flooder.join();
    }
    if (flood_failure) std::rethrow_exception(flood_failure);
    if (client_failure) std::rethrow_exception(client_failure);
    return result;
}

}  // namespace synward::bench
