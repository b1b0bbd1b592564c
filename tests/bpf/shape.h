// SPDX-License-Identifier: GPL-2.0-or-later
// Shapes of SYNs, and which layouts of options are usual, from their descriptions
// (lib/abi/escalate.h, synward.toml(5)).
#pragma once

#include "abi/escalate.h"
#include "segment.h"

namespace synward::bpf_test {

// As Linux, Windows, macOS, FreeBSD and Linux without timestamps send them, an
// MSS alone, or none at all; whatever the values.
bool is_usual(View options);

sw_shape shape_of(const Segment& syn);

}  // namespace synward::bpf_test
