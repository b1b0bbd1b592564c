// SPDX-License-Identifier: GPL-2.0-or-later
#include "host.h"

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "packet.h"

namespace synward::bpf_test {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error("cannot " + what + ": " + std::strerror(errno));
}

struct Endpoint {
    sockaddr_storage storage{};
    socklen_t length;

    Endpoint(const Address& address, unsigned port) {
        if (address.size() == 4) {
            auto* in = reinterpret_cast<sockaddr_in*>(&storage);
            in->sin_family = AF_INET;
            in->sin_port = htons(static_cast<std::uint16_t>(port));
            std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&in->sin_addr));
            length = sizeof *in;
        } else {
            auto* in = reinterpret_cast<sockaddr_in6*>(&storage);
            in->sin6_family = AF_INET6;
            in->sin6_port = htons(static_cast<std::uint16_t>(port));
            std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&in->sin6_addr));
            length = sizeof *in;
        }
    }
    [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] int family() const { return storage.ss_family; }
};

// Aliases lo:0, lo:1 ... of the loopback device.
void add_address4(const Address& address, int alias) {
    const Socket control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, ("lo:" + std::to_string(alias)).c_str());
    std::memcpy(&request.ifr_addr, Endpoint(address, 0).get(), sizeof(sockaddr_in));
    if (ioctl(control.fd(), SIOCSIFADDR, &request)) fail("add an IPv4 address");
}

struct Ifreq6 {  // struct in6_ifreq, whose header clashes with netinet/in.h
    in6_addr address;
    std::uint32_t prefix_length;
    int index;
};

void add_address6(const Address& address) {
    const Socket control(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    Ifreq6 request{.address = {}, .prefix_length = 128, .index = static_cast<int>(if_nametoindex("lo"))};
    std::copy(address.begin(), address.end(), reinterpret_cast<std::uint8_t*>(&request.address));
    if (ioctl(control.fd(), SIOCSIFADDR, &request)) fail("add an IPv6 address");
}

unsigned cpu = 0;

}  // namespace

Socket::~Socket() {
    if (fd_ >= 0) close(fd_);
}

unsigned Socket::port() const {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length)) fail("read a socket's name");
    return ntohs(storage.ss_family == AF_INET ? reinterpret_cast<sockaddr_in*>(&storage)->sin_port
                                              : reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
}

unsigned pinned_cpu() {
    return cpu;
}

void enter_namespace() {
    cpu = static_cast<unsigned>(sched_getcpu());
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("stay on one CPU");
    if (unshare(CLONE_NEWNET)) fail("make a network namespace");
    const Socket control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK;
    if (ioctl(control.fd(), SIOCSIFFLAGS, &request)) fail("bring the loopback device up");
    add_address4(kHost4, 0);
    add_address4(kNeighbour4, 1);
    add_address6(kHost6);
    add_address6(kNeighbour6);
}

Sysctl::Sysctl(std::string name, const std::string& value) : path_("/proc/sys/" + std::move(name)) {
    // /proc/sys/net shows the namespace of the reader, so no remount is needed.
    if (!(std::ifstream(path_) >> old_)) throw std::runtime_error("cannot read " + path_);
    if (!(std::ofstream(path_) << value << std::flush)) throw std::runtime_error("cannot write " + path_);
}

Sysctl::~Sysctl() {
    std::ofstream(path_) << old_;
}

Socket listen_on(const Address& address, unsigned port, bool mptcp) {
    const Endpoint endpoint(address, port);
    Socket listener(
        socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, mptcp ? IPPROTO_MPTCP : IPPROTO_TCP));
    const int on = 1;
    if (listener.fd() < 0) fail("make a socket");
    setsockopt(listener.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener.fd(), endpoint.get(), endpoint.length)) fail("bind to port " + std::to_string(port));
    if (listen(listener.fd(), kBacklog)) fail("listen on port " + std::to_string(port));
    return listener;
}

bool mptcp_available() {
    return Socket(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP)).fd() >= 0;
}

Socket dial(const Socket& listener, bool v6) {
    const Endpoint from(v6 ? kNeighbour6 : kNeighbour4, 0), to(v6 ? kHost6 : kHost4, listener.port());
    Socket client(socket(from.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (bind(client.fd(), from.get(), from.length)) fail("bind a client");
    if (connect(client.fd(), to.get(), to.length)) fail("connect a client");
    return client;
}

Connection connect_to(const Socket& listener, bool v6) {
    Socket client = dial(listener, v6);
    Socket server(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (server.fd() < 0) fail("accept a client");
    return {std::move(client), std::move(server)};
}

}  // namespace synward::bpf_test
