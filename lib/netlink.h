// SPDX-License-Identifier: GPL-2.0-or-later
// Requests by netlink, one after the other: for setting things up, not for the
// hot path. Not thread-safe.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward {

// What the kernel said to a request.
struct NetlinkAnswer {
    int error = 0;               // errno of the first message that was refused; 0: none was
    std::uint32_t sequence = 0;  // of that message
    std::string text;            // what the kernel adds in words (extended acknowledgement), may be empty
    std::uint32_t offset = 0;    // in that message, of the attribute that is wrong; 0: not told
};

class NetlinkSocket {
  public:
    // Bound, in the caller's network namespace. `protocol` as in netlink(7).
    static Result<NetlinkSocket> open(int protocol);

    [[nodiscard]] int fd() const { return fd_.get(); }

    using Handler = std::function<void(const nlmsghdr*)>;
    // Sends one or more messages and hands every answer that is no
    // acknowledgement to the handler. What cannot be sent or read is an error of
    // the answer too.
    NetlinkAnswer ask(std::span<const char> messages, const Handler& handler = {});

  private:
    explicit NetlinkSocket(Descriptor fd);
    bool read(const Handler& handler, NetlinkAnswer& answer);

    Descriptor fd_;
    std::vector<char> buffer_;
};

// `what` and what the answer says; ErrorCode as fail_errno() has it.
[[nodiscard]] tl::unexpected<Error> fail_answer(const NetlinkAnswer& answer, std::string_view what);

}  // namespace synward
