// SPDX-License-Identifier: GPL-2.0-or-later
// One writer at a time for what the kernel holds of an interface: commands and the daemon
// read it, change it and write it back, and would else lose what the other wrote.
//
// An flock(2) on a file in /run/synward, or in the folder that SYNWARD_LOCK_FOLDER names
// where that one cannot be; writers with different folders do not see each other. The
// kernel frees it when its holder dies. The file stays, empty and without a meaning.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "lib/descriptor.h"
#include "lib/interface.h"
#include "lib/result.h"

namespace synward {

// Not recursive, also within a process: who holds it does not take it again, and asks
// nothing of the daemon, which may wait for it. Whoever needs both parts takes the policy
// first. Move-only.
class InterfaceLock {
  public:
    enum class Part {
        policy,  // programs, policy, keys, filter of known connections
        sources  // the source sets, and the reading of the ipsets that go into them
    };
    static constexpr std::chrono::milliseconds default_patience{10'000};

    // Of the interface with this index in the caller's network namespace. Code `busy`
    // after `patience`; `privilege` where the file is not for the caller.
    [[nodiscard]] static Result<InterfaceLock> take(const Interface& interface, Part part,
                                                    std::chrono::milliseconds patience = default_patience);

    void release() { file_.reset(); }
    [[nodiscard]] bool held() const { return static_cast<bool>(file_); }

  private:
    explicit InterfaceLock(Descriptor file) : file_(std::move(file)) {}
    Descriptor file_;
};

}  // namespace synward
