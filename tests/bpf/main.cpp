// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include "fixture.h"

// Usage: synward_bpf_test [--gtest_...] [OBJECT]
int main(int argc, char** argv) {
    using namespace synward::bpf_test;
    testing::InitGoogleTest(&argc, argv);
    if (argc > 1) object_path = argv[1];
    if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
    if (geteuid() != 0) {
        const char* ci = std::getenv("CI");
        const bool must_run = ci && std::string(ci) == "1";
        std::cerr << (must_run ? "FAILED" : "SKIPPED")
                  << ": the bpf tests load a BPF program and make a network namespace; run them as root\n";
        return must_run ? 1 : 77;
    }
    try {
        enter_namespace();
        object();
    } catch (const std::exception& error) {
        std::cerr << "FAILED: " << error.what() << "\n";
        return 1;
    }
    return RUN_ALL_TESTS();
}
