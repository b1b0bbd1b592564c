// SPDX-License-Identifier: GPL-2.0-or-later
#include "set_random.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace synward {

std::string RandomSets::address(bool v6) {
    const unsigned host = below(1024);
    return v6 ? fmt::format("2001:db8::{:x}", host) : fmt::format("198.18.{}.{}", host >> 8, host & 255);
}

std::string RandomSets::prefix(bool v6) {
    const unsigned bits = 1 + below(10);
    const unsigned host = below(1024) >> bits << bits;
    return v6 ? fmt::format("2001:db8::{:x}/{}", host, 128 - bits)
              : fmt::format("198.18.{}.{}/{}", host >> 8, host & 255, 32 - bits);
}

std::string RandomSets::element(const std::string& type, bool v6) {
    const std::string net = below(3) ? prefix(v6) : address(v6);
    const std::string port = fmt::format("{}:{}", below(2) ? "tcp" : "udp", 1 + below(4));
    if (type == "hash:ip") return address(v6);
    if (type == "hash:net") return net;
    if (type == "hash:ip,port") return address(v6) + "," + port;
    if (type == "hash:net,port") return net + "," + port;
    if (type == "hash:net,iface") return fmt::format("{},eth{}", net, below(3));
    ADD_FAILURE() << type;
    return {};
}

std::string RandomSets::set(const std::string& name, const std::string& type, bool v6, unsigned elements,
                            const std::string& options) {
    const bool marks = options.find("skbinfo") != options.npos;
    std::string lines =
        fmt::format("create {} {} family {} {}\n", name, type, v6 ? "inet6" : "inet", options);
    for (unsigned i = 0; i < elements; i++) {
        lines += fmt::format("add {} {}", name, element(type, v6));
        constexpr const char* words[] = {" skbmark 0xd/0xff",   " skbmark 0xa/0xff",     " skbmark 0x20/0xff",
                                         " skbmark 0x12345630", " skbmark 0xd00/0xff00", ""};
        if (marks) lines += words[below(6)];
        if (options.find("comment") != options.npos && below(2))
            lines += fmt::format(" comment \"the {}th\"", i);
        if (options.find("counters") != options.npos && below(2))
            lines += fmt::format(" packets {} bytes {}", below(1000), below(1000000));
        if (options.find("timeout") != options.npos && below(2))
            lines += fmt::format(" timeout {}", 100000 + i);
        if (type.find("net") != type.npos && below(4) == 0) lines += " nomatch";
        lines += "\n";
    }
    return lines;
}

void restore(const std::string& lines) {
    FILE* pipe = popen("ipset restore -exist", "w");
    ASSERT_TRUE(pipe);
    EXPECT_EQ(std::fwrite(lines.data(), 1, lines.size(), pipe), lines.size());
    EXPECT_EQ(pclose(pipe), 0);
}

}  // namespace synward
