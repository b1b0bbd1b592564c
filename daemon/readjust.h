// SPDX-License-Identifier: GPL-2.0-or-later
// A policy after its interface or the host's settings changed.
#pragma once

#include "lib/policy.h"

namespace synward {

// `live` is in force, `compiled` was made from the config for the interface and the
// sysctls as they are now. The result is `live` with the address, MSS and windows of the
// interface and with the options that the host has now: services and modes that an
// administrator changed at run time stay changed. Pure.
[[nodiscard]] CompiledPolicy readjust(const CompiledPolicy& live, const CompiledPolicy& compiled,
                                      unsigned mtu);

}  // namespace synward
