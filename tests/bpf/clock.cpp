// SPDX-License-Identifier: GPL-2.0-or-later
#include "clock.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace synward::bpf_test {

namespace {

// r0 = bpf_jiffies64(); r0 >>= shift; exit. A run returns 32 bits.
int load(std::int32_t shift) {
    const bpf_insn code[] = {
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
        {.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = shift},
        {.code = BPF_JMP | BPF_EXIT},
    };
    const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "clock", "GPL", code, 3, nullptr);
    if (fd < 0)
        throw std::runtime_error(std::string("cannot load the clock program: ") + std::strerror(errno));
    return fd;
}

std::uint32_t run(int program) {
    char frame[64] = {};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof frame, .repeat = 1);
    if (bpf_prog_test_run_opts(program, &options))
        throw std::runtime_error(std::string("cannot run the clock program: ") + std::strerror(errno));
    return options.retval;
}

}  // namespace

std::uint64_t ticks() {
    static const int low = load(0), high = load(32);
    for (;;) {
        const std::uint32_t before = run(high), now = run(low);
        if (run(high) == before) return static_cast<std::uint64_t>(before) << 32 | now;
    }
}

std::uint32_t ticks_per_second() {
    timespec resolution{};
    clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    return static_cast<std::uint32_t>(1'000'000'000 / resolution.tv_nsec);
}

}  // namespace synward::bpf_test
