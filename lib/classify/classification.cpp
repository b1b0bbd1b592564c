// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/classification.h"

#include "lib/classify/fate_rule.h"
#include "lib/classify/mangle_rules.h"
#include "lib/classify/module_marker.h"

namespace synward {

Result<void> remove_classification() {
    Error first;
    const auto note = [&](const Result<void>& done) {
        // What the kernel cannot have is not there.
        if (!done && done.error().code != ErrorCode::unsupported && first.message.empty())
            first = done.error();
    };
    // The rule first: marks without it do nothing.
    note(remove_fate_rule());
    note(remove_mangle_rules());
    note(unbind_module());
    if (!first.message.empty()) return tl::unexpected(first);
    return {};
}

}  // namespace synward
