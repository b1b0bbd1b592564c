// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset_bulk.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu.h"
#include "lib/clock.h"
#include "listener.h"

namespace synward::bench {
namespace {

constexpr uint16_t kPort = 5201;
constexpr int kPatience = 10'000;  // ms without a byte: the connection hangs
constexpr double kStart = 0.1;     // of the time: slow start, not counted

void send_all_the_time(const RulesetLab& lab, const std::stop_token& stop) {
    const Netns::Inside inside(lab.outside());
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(kPort)};
    inet_pton(AF_INET, RulesetLab::kHostAddress, &to.sin_addr);
    if (!fd ||
        (connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 && errno != EINPROGRESS))
        return;  // the receiver notices
    const std::vector<char> bytes(256 * 1024);
    while (!stop.stop_requested()) {
        if (send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) continue;
        pollfd room{.fd = fd.get(), .events = POLLOUT, .revents = 0};
        poll(&room, 1, 10);
    }
}

void wait_for(int fd, const char* what) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, kPatience) != 1)
        throw std::runtime_error(fmt::format("{} within {} s", what, kPatience / 1000));
}

}  // namespace

double measure_bulk(const RulesetLab& lab, const LabOptions& options, double seconds) {
    Fd listener;
    {
        const Netns::Inside inside(lab.host());
        listener = listen_on(kPort);
    }
    std::jthread sender([&](const std::stop_token& stop) {
        pin_to_cpu(options.sender_cpu);
        send_all_the_time(lab, stop);
    });
    pin_to_cpu(options.cpu);
    wait_for(listener.get(), "no TCP connection came");
    const Fd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) throw std::runtime_error(fmt::format("cannot accept a connection: {}", strerror(errno)));

    std::vector<char> bytes(256 * 1024);
    const uint64_t start = monotonic_now(), counted = start + static_cast<uint64_t>(seconds * kStart * 1e9),
                   end = start + static_cast<uint64_t>(seconds * 1e9);
    uint64_t sum = 0, first = 0, last = 0;
    while (last < end) {
        wait_for(fd.get(), "no byte came");
        const ssize_t size = recv(fd.get(), bytes.data(), bytes.size(), 0);
        if (size <= 0) throw std::runtime_error("the TCP connection ended");
        last = monotonic_now();
        if (first == 0) {
            if (last >= counted) first = last;
            continue;
        }
        sum += static_cast<uint64_t>(size);
    }
    return last > first ? static_cast<double>(sum) * 8e3 / static_cast<double>(last - first) : 0;
}

}  // namespace synward::bench
