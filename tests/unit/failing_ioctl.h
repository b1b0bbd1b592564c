// SPDX-License-Identifier: GPL-2.0-or-later
// A device that refuses: every ioctl(2) of one thread fails with an error of the test's choice.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <functional>
#include <thread>

namespace synward {

// Calls `body` on such a thread; false: the kernel has no seccomp.
inline bool with_failing_ioctl(unsigned error, const std::function<void()>& body) {
    bool filtered = false;
    std::thread([&] {
        std::array<sock_filter, 4> program = {{
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        }};
        const sock_fprog filter{.len = program.size(), .filter = program.data()};
        filtered = !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
                   !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
        if (filtered) body();
    }).join();
    return filtered;
}

}  // namespace synward
