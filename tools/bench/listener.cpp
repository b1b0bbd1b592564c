// SPDX-License-Identifier: GPL-2.0-or-later
#include "listener.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace synward::bench {

Fd listen_on(uint16_t port, int backlog) {
    Fd fd(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1, off = 0;
    sockaddr_in6 any{.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) != 0 ||
        bind(fd.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)) != 0 || listen(fd.get(), backlog) != 0)
        throw std::runtime_error(fmt::format("cannot listen on port {}: {}", port, strerror(errno)));
    return fd;
}

}  // namespace synward::bench
