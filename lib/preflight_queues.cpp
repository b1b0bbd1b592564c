// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/preflight_queues.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace synward {
namespace {

constexpr const char* queue_table = "/proc/net/netfilter/nfnetlink_queue";

bool is_wanted(const Config& config, std::uint16_t queue) {
    const unsigned first = config.escalation.queue;
    return queue >= first && queue < first + config.escalation.queues;
}

// Until `take` says that it has found what it looked for. A process may end meanwhile.
template <typename Take>
bool find_entry(const std::filesystem::path& folder, const Take& take) {
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
        if (take(at->path())) return true;
    return false;
}

// Others' descriptors are seen with privilege only.
void find_process(QueueReader& reader) {
    std::ifstream sockets("/proc/net/netlink");
    const std::string inode = netfilter_socket(sockets, reader.port);
    if (inode.empty()) return;
    const std::string wanted = fmt::format("socket:[{}]", inode);
    find_entry("/proc", [&](const std::filesystem::path& process) {
        const int number = std::atoi(process.filename().c_str());
        if (number <= 0) return false;
        const bool its = find_entry(process / "fd", [&](const std::filesystem::path& descriptor) {
            std::error_code ignored;
            return std::filesystem::read_symlink(descriptor, ignored) == wanted;
        });
        if (!its) return false;
        reader.process = number;
        std::ifstream name(process / "comm");
        std::getline(name, reader.name);
        return true;
    });
}

}  // namespace

std::vector<Finding> look_at_queues(const Config& config) {
    std::ifstream table(queue_table);
    if (!table) {
        // Without nfnetlink_queue in the kernel there is no reader; it is loaded for the first.
        if (access(queue_table, F_OK)) return {};
        return {{Severity::note, "escalation.queue",
                 "which queues of netfilter have a reader could not be read and was not checked",
                 "run this as root"}};
    }
    std::vector<QueueReader> readers = read_queues(table);
    // To find a process takes a walk over all.
    std::erase_if(readers, [&](const QueueReader& reader) { return !is_wanted(config, reader.queue); });
    for (QueueReader& reader : readers) find_process(reader);
    return check_queues(config, readers);
}

std::vector<Finding> check_queues(const Config& config, const std::vector<QueueReader>& readers) {
    std::vector<Finding> findings;
    for (const QueueReader& reader : readers) {
        if (!is_wanted(config, reader.queue) || reader.name == "synwardd") continue;
        const std::string who = reader.process ? fmt::format("process {} ({})", reader.process, reader.name)
                                               : fmt::format("netlink port id {}", reader.port);
        findings.push_back({Severity::error, "escalation.queue",
                            fmt::format("queue {} of netfilter has another reader, {}, so that nobody is "
                                        "asked about doubtful packets",
                                        reader.queue, who),
                            "stop it, or set escalation.queue to the first of numbers that are free"});
    }
    return findings;
}

std::vector<QueueReader> read_queues(std::istream& table) {
    std::vector<QueueReader> readers;
    for (std::string line; std::getline(table, line);) {
        std::istringstream words(line);
        QueueReader reader;
        if (words >> reader.queue >> reader.port) readers.push_back(std::move(reader));
    }
    return readers;
}

// sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode, where Eth is the protocol.
std::string netfilter_socket(std::istream& sockets, std::uint32_t port) {
    for (std::string line; std::getline(sockets, line);) {
        std::istringstream words(line);
        std::string skipped, inode;
        int protocol = 0;
        std::uint32_t its_port = 0;
        if (!(words >> skipped >> protocol >> its_port)) continue;
        for (int i = 0; i < 6; i++) words >> skipped;
        if (words >> inode && protocol == NETLINK_NETFILTER && its_port == port) return inode;
    }
    return {};
}

}  // namespace synward
