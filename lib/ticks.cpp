// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/ticks.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "lib/host.h"

namespace synward {

Result<TickClock> TickClock::create() {
    // r6 = context; *(u64*)r6 = bpf_jiffies64(); return 0
    const bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
        {.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_0},
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
    const int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "synward_ticks", "GPL", program,
                                 sizeof program / sizeof program[0], &options);
    if (fd < 0) return fail_errno(-fd, "cannot load the program that reads the kernel's tick counter");
    return TickClock(Descriptor(fd), tick_rate());
}

Result<std::uint64_t> TickClock::now() const {
    std::uint64_t ticks = 0;
    // programs of this type write their context back to ctx_in; a ctx_out is refused
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &ticks, .ctx_size_in = sizeof ticks);
    const int error = bpf_prog_test_run_opts(program_.get(), &run);
    if (error) return fail_errno(-error, "cannot read the kernel's tick counter");
    return ticks;
}

}  // namespace synward
