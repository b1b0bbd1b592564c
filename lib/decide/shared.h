// SPDX-License-Identifier: GPL-2.0-or-later
// What all chains of a daemon know in common.
#pragma once

#include <cstddef>

#include "lib/decide/config.h"
#include "lib/decide/known_flows.h"
#include "lib/decide/proven.h"
#include "lib/decide/services.h"
#include "lib/decide/shapes.h"

namespace synward {

// Written by one thread (the control thread: policy, handshakes, shapes, flows of
// the kernel), read by every chain and by why(); nothing locks. All memory is
// taken by the constructor. Outlives the chains, and changes of their config.
struct DecideShared {
    DecideShared(const DecideConfig& config, KeySource& keys)
        : proven(config.proven_sources, config.proven_prefixes, config.proven_window, keys),
          flows(config.known_flows, keys),
          shapes(config.shapes, config.shape_half_life, keys),
          services(keys) {}

    ProvenSources proven;
    KnownFlows flows;
    LearnedShapes shapes;
    ServiceTable services;

    [[nodiscard]] std::size_t memory_bytes() const {
        return proven.memory_bytes() + flows.memory_bytes() + shapes.memory_bytes() + services.memory_bytes();
    }
};

}  // namespace synward
