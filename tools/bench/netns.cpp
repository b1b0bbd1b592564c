// SPDX-License-Identifier: GPL-2.0-or-later
#include "netns.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "process.h"

namespace synward::bench {
namespace {

Fd current() {
    return Fd(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

}  // namespace

Netns::Netns() {
    const Fd before = current();
    if (!before || unshare(CLONE_NEWNET) != 0)
        throw std::runtime_error(
            fmt::format("cannot make a network namespace: {}; run as root", strerror(errno)));
    fd_ = current();
    if (!fd_ || setns(before.get(), CLONE_NEWNET) != 0)
        throw std::runtime_error(fmt::format("cannot leave a network namespace: {}", strerror(errno)));
    ip("link set lo up");
}

Netns::Inside::Inside(const Netns& netns) : before_(current()) {
    if (!before_ || setns(netns.fd_.get(), CLONE_NEWNET) != 0)
        throw std::runtime_error(fmt::format("cannot enter a network namespace: {}", strerror(errno)));
}

Netns::Inside::~Inside() {
    (void)setns(before_.get(), CLONE_NEWNET);
}

std::string Netns::path() const {
    return fmt::format("/proc/{}/fd/{}", getpid(), fd_.get());
}

void Netns::ip(const std::string& line) const {
    const Inside inside(*this);
    run_line("ip " + line);
}

void Netns::sysctl(const std::string& name, const std::string& value) const {
    const Inside inside(*this);
    std::ofstream file("/proc/sys/" + name);
    file << value;
    if (!file.flush()) throw std::runtime_error(fmt::format("cannot set the sysctl {} to {}", name, value));
}

pid_t receive_on_cpu(const Netns& netns, const std::string& interface, int cpu) {
    const Netns::Inside inside(netns);
    // /sys shows the namespace in which it was mounted
    run_command({"unshare", "--mount", "sh", "-c",
                 "mount -t sysfs none /sys && echo 1 > /sys/class/net/" + interface + "/threaded"});
    pid_t thread = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "comm");
        std::string name;
        if (!std::getline(file, name) || !name.starts_with("napi/" + interface + "-")) continue;
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<unsigned>(cpu), &set);
        const pid_t pid = std::stoi(entry.path().filename());
        if (sched_setaffinity(pid, sizeof(set), &set) == 0) thread = pid;
    }
    if (thread == 0)
        throw std::runtime_error(fmt::format("{} has no receiving thread that could be pinned", interface));
    return thread;
}

void make_veth(const Netns& in_a, const std::string& a, const Netns& in_b, const std::string& b) {
    in_a.ip(fmt::format("link add {} type veth peer name {} netns {}", a, b, in_b.path()));
    in_a.ip(fmt::format("link set {} up", a));
    in_b.ip(fmt::format("link set {} up", b));
}

}  // namespace synward::bench
