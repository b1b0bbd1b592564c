// SPDX-License-Identifier: GPL-2.0-or-later
#include "namespace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cstdio>

namespace synward {
namespace {

struct Ended {
    int status;
    std::string text;
};

Ended finish(const std::string& command) {
    std::FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "re");
    if (!pipe) return {-1, "popen failed"};
    Ended ended{0, {}};
    std::array<char, 4096> buffer;
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
        ended.text.append(buffer.data(), got);
    ended.status = pclose(pipe);
    return ended;
}

}  // namespace

void run(const std::string& command) {
    const Ended ended = finish(command);
    ASSERT_EQ(ended.status, 0) << command << ": " << ended.text;
}

std::string output(const std::string& command) {
    return finish(command).text;
}

TestNamespace::TestNamespace() : outside_(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (unshare(CLONE_NEWNET)) {
        ADD_FAILURE() << "cannot make a network namespace: run the test as root";
        return;
    }
    run("ip link set lo up");
    // Neighbour and router discovery would be counted among the test's own packets.
    run("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    run("ip link add here numrxqueues 2 numtxqueues 2 type veth peer name there");
    run("ip address add 198.18.0.1/24 dev here");
    run("ip link set here up && ip link set there up");
}

TestNamespace::~TestNamespace() {
    // Nothing of this test may happen outside.
    if (setns(outside_.get(), CLONE_NEWNET)) std::abort();
}

Interface TestNamespace::here() const {
    const auto interface = find_interface("here");
    EXPECT_TRUE(interface) << (interface ? "" : interface.error().message);
    return interface.value_or(Interface{});
}

}  // namespace synward
