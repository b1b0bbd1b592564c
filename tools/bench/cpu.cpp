// SPDX-License-Identifier: GPL-2.0-or-later
#include "cpu.h"

#include <fmt/format.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace synward::bench {

void pin_to_cpu(int cpu) {
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0)
        throw std::runtime_error(fmt::format("cannot run on CPU {}: {}", cpu, strerror(errno)));
}

}  // namespace synward::bench
