// SPDX-License-Identifier: GPL-2.0-or-later
#include "counters.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace synward::bpf_test {

const char* reason_name(unsigned reason) {
    static constexpr const char* kNames[] = {
#define X(NAME, name, action, text) #name,
        SW_REASONS(X)
#undef X
    };
    return reason < SW_REASON_COUNT ? kNames[reason] : "(beyond the list)";
}

Counters::Counters(const Object& object)
    : map_(object.map("sw_stats")),
      cpus_(static_cast<unsigned>(libbpf_num_possible_cpus())),
      last_(snapshot(kWatched)),
      first_(snapshot(SW_SERVICES)) {}

std::vector<std::uint64_t> Counters::snapshot(unsigned services) const {
    std::vector<std::uint64_t> raw(static_cast<std::size_t>(services) * cpus_ * SW_REASON_SLOTS);
    std::vector<std::uint32_t> keys(services);
    std::uint32_t cursor = 0, count = services;
    if (bpf_map_lookup_batch(map_, nullptr, &cursor, keys.data(), raw.data(), &count, nullptr) &&
        errno != ENOENT)
        throw std::runtime_error(std::string("cannot read sw_stats: ") + std::strerror(errno));
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(services) * SW_REASON_SLOTS);
    for (unsigned entry = 0; entry < count; ++entry)
        for (unsigned cpu = 0; cpu < cpus_; ++cpu)
            for (unsigned i = 0; i < SW_REASON_SLOTS; ++i)
                sums[keys[entry] * SW_REASON_SLOTS + i] += raw[(entry * cpus_ + cpu) * SW_REASON_SLOTS + i];
    return sums;
}

namespace {

Counters::Table difference(const std::vector<std::uint64_t>& before, const std::vector<std::uint64_t>& after,
                           std::size_t from) {
    Counters::Table table;
    for (std::size_t i = from; i < after.size(); ++i)
        if (after[i] != before[i])
            table[{static_cast<unsigned>(i / SW_REASON_SLOTS), static_cast<unsigned>(i % SW_REASON_SLOTS)}] =
                after[i] - before[i];
    return table;
}

}  // namespace

Counters::Table Counters::changes() {
    auto now = snapshot(kWatched);
    auto table = difference(last_, now, 0);
    last_ = std::move(now);
    return table;
}

Counters::Table Counters::changes_elsewhere() const {
    return difference(first_, snapshot(SW_SERVICES), kWatched * SW_REASON_SLOTS);
}

std::string Counters::text(const Table& table) {
    if (table.empty()) return "no counter";
    std::string result;
    for (const auto& [where, packets] : table) {
        if (!result.empty()) result += ", ";
        result += "service " + std::to_string(where.first) + " " + reason_name(where.second) + " +" +
                  std::to_string(packets);
    }
    return result;
}

}  // namespace synward::bpf_test
