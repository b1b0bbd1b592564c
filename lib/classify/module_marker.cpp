// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/module_marker.h"

#include <algorithm>

#include "lib/escalation/module.h"

namespace synward {
namespace {

std::vector<ModuleSet> module_sets(std::span<const BoundSet> sets) {
    std::vector<ModuleSet> list;
    for (const BoundSet& set : sets) list.push_back({.name = set.name, .dim = set.dim, .flags = set.flags});
    return list;
}

}  // namespace

Result<void> bind_module(std::span<const BoundSet> sets) {
    auto module = ModuleControl::open();
    if (!module) return tl::unexpected(module.error());
    return module->bind(module_sets(sets));
}

Result<bool> module_has_bound(std::span<const BoundSet> sets) {
    auto module = ModuleControl::open();
    if (!module) return tl::unexpected(module.error());
    const auto bound = module->bound();
    if (!bound) return tl::unexpected(bound.error());
    const auto wanted = module_sets(sets);
    return std::equal(bound->begin(), bound->end(), wanted.begin(), wanted.end(),
                      [](const ModuleSet& a, const ModuleSet& b) {
                          return a.name == b.name && a.dim == b.dim && a.flags == b.flags;
                      });
}

Result<void> unbind_module() {
    auto module = ModuleControl::open();
    if (!module) {
        if (module.error().code == ErrorCode::missing) return {};
        return tl::unexpected(module.error());
    }
    auto done = module->bind({});
    // One that cannot look at sets has none bound.
    if (!done && done.error().code == ErrorCode::unsupported) return {};
    return done;
}

}  // namespace synward
