// SPDX-License-Identifier: GPL-2.0-or-later
// Are the queues of nfnetlink_queue free that the config wants?
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "lib/config.h"
#include "lib/preflight.h"

namespace synward {

struct QueueReader {
    std::uint16_t queue = 0;
    std::uint32_t port = 0;  // id of the netlink socket that reads it
    int process = 0;         // that has the socket; 0: it could not be found
    std::string name;        // of the process, as ps shows it
};

// Of the caller's network namespace. Without privilege it is a finding that nothing was seen.
[[nodiscard]] std::vector<Finding> look_at_queues(const Config& config);

// Pure parts.
// A synwardd is no stranger: its queues are those that the config wants.
[[nodiscard]] std::vector<Finding> check_queues(const Config& config,
                                                const std::vector<QueueReader>& readers);
// `table`: /proc/net/netfilter/nfnetlink_queue, which names no process.
[[nodiscard]] std::vector<QueueReader> read_queues(std::istream& table);
// `sockets`: /proc/net/netlink. The inode of the socket of netfilter with this port id; "" if there is none.
[[nodiscard]] std::string netfilter_socket(std::istream& sockets, std::uint32_t port);

}  // namespace synward
