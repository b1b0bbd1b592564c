// SPDX-License-Identifier: GPL-2.0-or-later
// The counters of sw_stats, summed over the CPUs, and what one packet did to them.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "object.h"

namespace synward::bpf_test {

const char* reason_name(unsigned reason);

class Counters {
  public:
    // (service, reason) -> packets
    using Table = std::map<std::pair<unsigned, unsigned>, std::uint64_t>;

    // Tests use the first services only, so that a look after each packet stays
    // cheap; changes_elsewhere() finds what went astray.
    static constexpr unsigned kWatched = 6;

    explicit Counters(const Object& object);

    // What changed among the watched services since the last call.
    Table changes();
    // What changed since construction among all others.
    Table changes_elsewhere() const;

    static std::string text(const Table& table);

  private:
    [[nodiscard]] std::vector<std::uint64_t> snapshot(unsigned services) const;

    int map_;
    unsigned cpus_;
    std::vector<std::uint64_t> last_, first_;
};

}  // namespace synward::bpf_test
