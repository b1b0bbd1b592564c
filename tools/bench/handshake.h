// SPDX-License-Identifier: GPL-2.0-or-later
// Legitimate clients while a flood runs: three namespaces, the server's in the middle, the
// clients and the attacker each behind a veth pair of their own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "connector.h"
#include "flood.h"
#include "protection.h"

namespace synward::bench {

enum class Defence { kKernel, kKernelAlways, kSynward };  // tcp_syncookies 1, 2, synward
std::string_view to_string(Defence defence);

struct HandshakeOptions {
    double rate = 1000;  // legitimate connections per second; 0: as many as `outstanding` allows
    unsigned outstanding = 1000;
    double seconds = 5;
    double timeout = 5;
    // The flood comes in by the interface of the clients, evenly, and one core receives both: what
    // it cannot take is lost, of whomever. Else it has an interface of its own, and sender and
    // receiver share a core, so that the flood is as fast as what answers it.
    bool shared = false;
    uint64_t flood_rate = 0;  // SYNs per second; 0: as many as one core makes, a million when shared
    FloodKind flood_kind = FloodKind::kSyn;
    int flood_cpu = 1;
    int client_cpu = 0;
    bool ipv6 = false;
    std::string mode = "cookie";  // of the service
    std::string object;
};

// The namespaces, with a server that answers and one defence; all of it goes with the object.
class Arena {
  public:
    Arena(const HandshakeOptions& options, Defence defence);
    ~Arena();

    struct Result {
        ConnectReport clients;
        FloodReport flood;  // zeros when there was none
    };
    Result run(bool flooded);

  private:
    FloodReport flood(std::stop_token stop);
    ConnectReport connect();

    HandshakeOptions options_;
    std::string device_;  // the clients' interface at the server
    Netns server_, clients_, attacker_;
    BpfObject helpers_;
    std::vector<std::unique_ptr<Instance>> synward_;
    Fd listener_;
    std::jthread responder_;
    Mac clients_mac_{}, attack_mac_{};  // of the server's interfaces
};

}  // namespace synward::bench
