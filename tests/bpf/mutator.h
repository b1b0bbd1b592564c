// SPDX-License-Identifier: GPL-2.0-or-later
// Random packets: honest ones in every shape, then damaged ones.
#pragma once

#include <random>

#include "packet.h"

namespace synward::bpf_test {

class Mutator {
  public:
    explicit Mutator(std::uint64_t seed) : random_(seed) {}

    // SYNWARD_SEED, or a new one each run; a failure must name it.
    static std::uint64_t pick_seed();

    // A SYN (or any other segment) from a random tuple to one of `ports`, in random
    // tags, IP options or extension headers, TCP options and payload.
    Bytes syn(const std::vector<unsigned>& ports);
    Bytes segment(const std::vector<unsigned>& ports);

    // Options as clients, broken clients and attackers send them; at most 40 bytes.
    Bytes tcp_options();

    // Flips, overwrites, inserts, removes, cuts; sometimes with checksums mended.
    Bytes damage(Bytes frame);

    unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
    std::uint32_t word() { return std::uniform_int_distribution<std::uint32_t>()(random_); }
    bool one_in(unsigned n) { return below(n) == 0; }

  private:
    Bytes wrap(const Tcp& tcp);
    Tcp random_tcp(const std::vector<unsigned>& ports);
    Bytes random_bytes(unsigned most);
    Bytes one_option();

    std::mt19937_64 random_;
};

}  // namespace synward::bpf_test
