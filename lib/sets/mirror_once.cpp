// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/mirror_once.h"

#include <optional>
#include <utility>

namespace synward {

Result<MirrorSummary> mirror_once(const Config& config, Instance& instance) {
    // From before the sets are read: an older reading must not come after a newer one.
    const auto lock = instance.lock(InterfaceLock::Part::sources);
    if (!lock) return tl::unexpected(lock.error());
    auto sources = instance.sources();
    if (!sources) return tl::unexpected(sources.error());
    return mirror_once(
        config, instance.interface(),
        [&](std::vector<SourceEntry> wanted, bool) { return sources->replace(std::move(wanted)); },
        sources->holds_others());
}

Result<MirrorSummary> mirror_once(const Config& config, const Interface& interface,
                                  const SetMirror::Write& write, bool careful) {
    MirrorSummary summary;
    auto reader = SetReader::open();
    // A kernel without ipsets has none.
    if (!reader && reader.error().code != ErrorCode::unsupported) return tl::unexpected(reader.error());
    std::optional<Error> failure;
    SetMirror mirror(reader ? std::optional(std::move(*reader)) : std::nullopt,
                     [&](bool problem, const std::string& text) {
                         if (problem) summary.problems.push_back(text);
                     });
    mirror.configure(config.classify, config.sources);
    mirror.add_interface(interface.name, interface.receivers,
                         [&](std::vector<SourceEntry> wanted, bool whole) {
                             auto done = careful ? mirror.complete() : Result<void>();
                             if (done) done = write(std::move(wanted), whole);
                             if (!done) failure = done.error();
                             return done;
                         });
    (void)mirror.round();
    if (failure) return tl::unexpected(*failure);
    const MirrorStatus status = mirror.status();
    for (const auto& set : status.sets)
        if (!set.type.empty()) summary.sets.push_back(set.name);
    summary.entries = status.interfaces[0].entries;
    return summary;
}

}  // namespace synward
