// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel that the program asks about sockets: a network namespace of the test
// process, with the host's and a client's addresses on its loopback device.
#pragma once

#include <string>
#include <utility>

#include "bytes.h"

namespace synward::bpf_test {

// Owns a descriptor.
class Socket {
  public:
    explicit Socket(int fd = -1) : fd_(fd) {}
    Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Socket();
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] unsigned port() const;  // the local one

  private:
    int fd_;
};

// The other address that is local, from which real connections are made.
inline const Address kNeighbour4 = {198, 18, 0, 2};
inline const Address kNeighbour6 = address("2001:db8::2");

// Moves the process into a fresh namespace, pins it to one CPU (budgets, caches
// and counters are per CPU) and configures the addresses. Once per process;
// throws std::runtime_error.
void enter_namespace();
unsigned pinned_cpu();

// Writes `value` to /proc/sys/`name` of the namespace and puts the old value back.
class Sysctl {
  public:
    Sysctl(std::string name, const std::string& value);
    Sysctl(const Sysctl&) = delete;
    Sysctl& operator=(const Sysctl&) = delete;
    ~Sysctl();

  private:
    std::string path_, old_;
};

// All of these throw std::runtime_error.
inline constexpr int kBacklog = 16;
Socket listen_on(const Address& address, unsigned port, bool mptcp = false);
bool mptcp_available();

struct Connection {
    Socket client, server;
};
// From the neighbour's address to `listener`, which listens at the host's; dial() leaves the
// connection in the queue of those that nobody has accepted.
Socket dial(const Socket& listener, bool v6);
Connection connect_to(const Socket& listener, bool v6);

}  // namespace synward::bpf_test
