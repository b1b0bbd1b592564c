// SPDX-License-Identifier: GPL-2.0-or-later
// A network namespace of the test's own, gone with the test.
#pragma once

#include <string>

#include "lib/descriptor.h"
#include "lib/interface.h"

namespace synward {

// While it lives, the calling thread is in a fresh namespace with a pair of veth
// devices, both up: "here" and "there", with 198.18.0.1/24 on "here".
class TestNamespace {
  public:
    TestNamespace();
    ~TestNamespace();
    TestNamespace(const TestNamespace&) = delete;
    TestNamespace& operator=(const TestNamespace&) = delete;

    // The kernel's view of "here" now.
    [[nodiscard]] Interface here() const;

  private:
    Descriptor outside_;
};

// Runs a command; fails the test, with what it printed, unless it succeeds.
void run(const std::string& command);
[[nodiscard]] std::string output(const std::string& command);

}  // namespace synward
