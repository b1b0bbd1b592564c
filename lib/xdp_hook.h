// SPDX-License-Identifier: GPL-2.0-or-later
// The XDP hook of an interface.
#pragma once

#include <optional>

#include "lib/descriptor.h"
#include "lib/instance.h"
#include "lib/interface.h"
#include "lib/result.h"

namespace synward {

struct HookedProgram {
    Descriptor program;
    std::uint32_t id = 0;
    AttachMode mode = AttachMode::native;
};

// Ours, if it is there, also behind libxdp's dispatcher. Nothing: the hook is
// free. Code `busy`: somebody else's program; the message says whose and what to do.
[[nodiscard]] Result<std::optional<HookedProgram>> query_xdp(const Interface& interface);

// Never replaces a program. `generic` skips the driver's mode; else generic is
// the fallback, and `generic_why` says why.
[[nodiscard]] Result<AttachMode> attach_xdp(const Interface& interface, int program_fd, bool generic,
                                            std::string& generic_why);

// Detaches exactly this program.
Result<void> detach_xdp(const Interface& interface, const HookedProgram& hooked);

}  // namespace synward
