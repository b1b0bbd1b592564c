// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/filter_size.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "lib/abi/flow.h"

namespace synward {
namespace {

constexpr std::uint64_t bits_each = 32;
constexpr std::uint64_t many = std::numeric_limits<std::uint32_t>::max();

// The sum of what stands behind the named words in the line that begins with `head`.
std::uint64_t read_sockstat(const char* path, const std::string& head) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string word;
        std::uint64_t value = 0, sum = 0;
        if (!(words >> word) || word != head) continue;
        while (words >> word >> value)
            if (word == "inuse" || word == "orphan" || word == "tw") sum += value;
        return sum;
    }
    return many;
}

}  // namespace

std::uint64_t estimate_connections(std::uint64_t bits, unsigned shift) {
    const double all = std::ldexp(1.0, static_cast<int>(shift));
    const double empty = all - std::min(static_cast<double>(bits), all - 1);
    return static_cast<std::uint64_t>(std::llround(all * std::log(all / empty)));
}

unsigned next_filter_shift(unsigned shift, std::uint64_t connections) {
    const std::uint64_t bits = std::bit_ceil(std::min(connections, many) * bits_each);
    const auto wanted =
        std::clamp<unsigned>(static_cast<unsigned>(std::countr_zero(std::max(bits, std::uint64_t{1}))),
                             SW_FILTER_SHIFT_MIN, SW_FILTER_SHIFT);
    return wanted + 1 == shift ? shift : wanted;
}

bool filter_wants_renewal(const FilterUse& use, std::uint64_t sockets) {
    const std::uint64_t all = std::uint64_t{1} << use.shift;
    if (use.shift != use.other_shift) return true;
    if (use.shift < SW_FILTER_SHIFT) return use.bits > all / 8;
    return use.bits > all / 4 && estimate_connections(use.bits, use.shift) / 2 > sockets;
}

std::uint64_t count_sockets() {
    const std::uint64_t sockets = read_sockstat("/proc/thread-self/net/sockstat", "TCP:");
    if (sockets == many) return many;
    const std::uint64_t six = read_sockstat("/proc/thread-self/net/sockstat6", "TCP6:");
    return sockets + (six == many ? 0 : six);  // a kernel without IPv6 has no such file
}

}  // namespace synward
