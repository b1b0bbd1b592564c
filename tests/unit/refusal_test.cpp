// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/refusal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "lib/privilege.h"

namespace synward {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view verifier =
    "libbpf: prog 'synward': BPF program load failed: Permission denied\n"
    "libbpf: prog 'synward': -- BEGIN PROG LOAD LOG --\n"
    "0: R1=ctx(off=0,imm=0) R10=fp0\n"
    "; return *(__u8 *)(long)ctx->data ? XDP_DROP : XDP_PASS;\n"
    "0: (61) r1 = *(u32 *)(r1 +0)          ; R1_w=pkt(off=0,r=0,imm=0)\n"
    "1: (71) r1 = *(u8 *)(r1 +0)\n"
    "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)\n"
    "R1 offset is outside of the packet\n"
    "verification time 41 usec\n"
    "stack depth 0\n"
    "processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
    "-- END PROG LOAD LOG --\n"
    "libbpf: prog 'synward': failed to load: -13\n"
    "libbpf: failed to load object 'synward.bpf.o'\n";

TEST(Refusal, TheVerifiersLastWordsAreKept) {
    EXPECT_EQ(last_words(verifier), "R1 offset is outside of the packet");
    EXPECT_EQ(last_words(""), "");
    EXPECT_EQ(last_words(std::string(5000, 'x')).size(), 200u);
}

TEST(Refusal, WithoutAVerifierLibbpfsOwn) {
    EXPECT_EQ(last_words("libbpf: failed to find valid kernel BTF\nlibbpf: Error loading vmlinux BTF: -3\n"
                         "libbpf: failed to load object 'x'\n"),
              "libbpf: Error loading vmlinux BTF: -3");
    EXPECT_EQ(last_words("libbpf: map 'a': failed to create: Invalid argument(-22)\n"
                         "libbpf: failed to load object 'x'"),
              "libbpf: map 'a': failed to create: Invalid argument(-22)");
}

TEST(Refusal, IsOneLineAndSaysWhatIsNeeded) {
    if (!missing_capabilities().empty()) GTEST_SKIP() << "needs root";
    const Error error = fail_load(EACCES, "the program 'x' of y.o", verifier).value();
    EXPECT_EQ(error.code, ErrorCode::unsupported);
    EXPECT_THAT(error.message, AllOf(HasSubstr("(R1 offset is outside of the packet)"),
                                     HasSubstr("Linux 6.1 or newer with BTF"), Not(HasSubstr("\n"))));
    EXPECT_EQ(fail_load(ENOMEM, "x", "").value().code, ErrorCode::system);
    EXPECT_EQ(fail_load(EPERM, "x", "").value().code, ErrorCode::privilege);
}

TEST(Refusal, AccessDeniedToRootIsNoLackOfPrivilege) {
    if (!missing_capabilities().empty()) GTEST_SKIP() << "needs root";
    EXPECT_EQ(fail_errno(EACCES, "x").value().code, ErrorCode::system);
    EXPECT_THAT(fail_errno(EACCES, "x").value().message, Not(HasSubstr("root")));
}

}  // namespace
}  // namespace synward
