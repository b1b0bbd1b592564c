// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "bpf_object.h"

namespace synward::bench {

// A TCP socket that listens on every IPv4 and IPv6 address of the calling thread's
// network namespace. Throws std::runtime_error.
Fd listen_on(uint16_t port, int backlog = 4096);

}  // namespace synward::bench
