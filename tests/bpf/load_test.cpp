// SPDX-License-Identifier: GPL-2.0-or-later
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "fixture.h"

namespace synward::bpf_test {

TEST(Load, EveryProgramIsThere) {
    for (const char* name : {SW_PROGRAM_XDP, SW_PROGRAM_TC, SW_PROGRAM_LEARN})
        EXPECT_GE(object().program(name), 0) << "no program named " << name;
}

TEST(Load, EveryMapOfTheAbiIsThere) {
    for (const char* name : {
#define X(variable, name, text) name,
             SW_MAPS(X)
#undef X
         }) {
        EXPECT_TRUE(object().has_map(name)) << name;
        EXPECT_LT(std::string(name).size(), 16u) << name;
    }
}

// `ip link set dev X xdp obj ...` alone must be harmless.
TEST(Load, FreshMapsPassAndCountEverything) {
    const Object fresh(object_path);
    Counters counters(fresh);
    for (const Bytes& frame : {tcp4({.syn = true}).bytes(), tcp6({.syn = true}).bytes(), Bytes(14),
                               Bytes(60, 0xff), tcp4({.fin = true, .syn = true}).bytes()}) {
        const auto run = fresh.run(frame);
        EXPECT_EQ(run.action, static_cast<std::uint32_t>(XDP_PASS));
        EXPECT_EQ(run.frame, frame);
        EXPECT_TRUE(run.metadata.empty());
        EXPECT_EQ(counters.changes(), (Counters::Table{{{kNone, SW_REASON_NO_POLICY}, 1}}));
    }
}

}  // namespace synward::bpf_test
