// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

namespace synward::bench {

// Packets that a named counter of nftables saw, in the calling thread's network namespace.
// `family` is an NFPROTO_*. By netlink rather than by nft(8), which is a process and takes
// long in a guest. Throws std::runtime_error.
uint64_t read_nft_counter(uint8_t family, const std::string& table, const std::string& name);

}  // namespace synward::bench
