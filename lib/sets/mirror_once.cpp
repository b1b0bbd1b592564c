// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/mirror_once.h"

#include <optional>
#include <utility>

#include "lib/sets/mirror.h"

namespace synward {

Result<MirrorSummary> mirror_once(const Config& config, Instance& instance) {
    MirrorSummary summary;
    auto reader = SetReader::open();
    // A kernel without ipsets has none.
    if (!reader && reader.error().code != ErrorCode::unsupported) return tl::unexpected(reader.error());
    auto sources = instance.sources();
    if (!sources) return tl::unexpected(sources.error());
    std::optional<Error> failure;
    SetMirror mirror(reader ? std::optional(std::move(*reader)) : std::nullopt,
                     [&](bool problem, const std::string& text) {
                         if (problem) summary.problems.push_back(text);
                     });
    mirror.configure(config.classify, config.sources);
    mirror.add_interface(instance.interface().name, [&](std::vector<SourceEntry> wanted, bool) {
        auto done = sources->replace(std::move(wanted));
        if (!done) failure = done.error();
        return done;
    });
    (void)mirror.round();
    if (failure) return tl::unexpected(*failure);
    const MirrorStatus status = mirror.status();
    for (const auto& set : status.sets) summary.sets += !set.type.empty();
    summary.entries = status.interfaces[0].entries;
    summary.undefined = status.undefined;
    return summary;
}

}  // namespace synward
