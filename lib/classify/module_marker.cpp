// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/module_marker.h"

#include "lib/escalation/module.h"

namespace synward {
namespace {

ModuleBinding binding_of(std::span<const BoundSet> sets) {
    ModuleBinding binding{.marks = true, .sets = {}};
    for (const BoundSet& set : sets)
        binding.sets.push_back({.name = set.name, .dim = set.dim, .flags = set.flags});
    return binding;
}

}  // namespace

Result<void> bind_module(std::span<const BoundSet> sets) {
    auto module = ModuleControl::open();
    if (!module) return tl::unexpected(module.error());
    return module->bind(binding_of(sets));
}

Result<bool> module_has_bound(std::span<const BoundSet> sets) {
    auto module = ModuleControl::open();
    if (!module) return tl::unexpected(module.error());
    auto bound = module->bound();
    if (!bound) return tl::unexpected(bound.error());
    // Which the module alone knows.
    for (ModuleSet& set : bound->sets) set.index = 0;
    return *bound == binding_of(sets);
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
