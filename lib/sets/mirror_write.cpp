// SPDX-License-Identifier: GPL-2.0-or-later
// SetMirror's other half: what the sets say, written to the driver hooks.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "lib/sets/mirror.h"

namespace synward {
namespace {

using namespace std::chrono_literals;

// So many prefixes at most are written one by one.
constexpr std::size_t most_patches = 64;

}  // namespace

void SetMirror::ports_problem(Target& target, const std::string& why) {
    std::string& problem = target.status.ports_problem;
    if (!why.empty() && problem.empty())
        tell_(true, fmt::format("{}: entries by port do not act at the driver hook, but by the connection's "
                                "mark alone: {}",
                                target.name, why));
    if (why.empty() && !problem.empty())
        tell_(false, fmt::format("{}: entries by port act at the driver hook again", target.name));
    problem = why;
}

// Says so where entries by interface do not act at the driver hook.
void SetMirror::leave_to_kernel(Target& target, bool apart) {
    const bool left = apart && target.receivers.size() > 1;
    if (left && target.status.kernel_only.empty())
        tell_(true,
              fmt::format("{}: entries of hash:net,iface act in the kernel only, not at the driver hook: "
                          "the kernel gets the packets by {}, which the hook cannot tell apart",
                          target.name, fmt::join(target.receivers, ", ")));
    target.status.kernel_only = left ? target.receivers : std::vector<std::string>();
}

// Whatever another process put there (synward load with another config), the sets decide.
void SetMirror::look_for_others(Target& target, Clock::time_point now) {
    // What could not be written is tried again in its own time.
    if (!target.written || !target.status.problem.empty() || target.in_force()) return;
    target.stale = true;
    target.written = false;
    target.status.overwritten++;
    if (now < target.may_tell) return;
    target.may_tell = now + 1min;
    tell_(true, fmt::format("{}: another process replaced the denied and allowed sources; what the sets and "
                            "the config say is put back",
                            target.name));
}

// Writes what lies in these prefixes, and nothing else. False: all has to be written.
bool SetMirror::patch(Target& target, const std::vector<Prefix>& changed) const {
    if (!target.patch || !target.written) return false;
    if (!target.status.problem.empty() || !target.status.ports_problem.empty()) return false;
    // Entries of one port do not lie side by side, so that each prefix costs as much as all.
    if (changed.size() > 1 && driver_->by_port()) return false;
    // The widest first, and what they contain with them: no source is without its entry meanwhile.
    std::vector<Prefix> prefixes = changed;
    std::ranges::sort(prefixes, {}, &Prefix::length);
    for (auto it = prefixes.begin(); it != prefixes.end(); ++it)
        prefixes.erase(
            std::remove_if(it + 1, prefixes.end(), [&](const Prefix& p) { return it->contains(p.address); }),
            prefixes.end());
    for (const Prefix& prefix : prefixes) {
        auto wanted = driver_->at_driver_within(prefix, classify_.fates, target.receivers);
        if (!wanted) return false;
        const auto count = target.patch(prefix, std::move(*wanted));
        if (!count) return false;
        target.status.entries = *count;
    }
    target.stale = false;
    target.status.updated++;
    return true;
}

void SetMirror::write(bool whole, const std::vector<Prefix>* changed) {
    if (!whole && changed && changed->size() <= most_patches)
        for (Target& target : targets_)
            if (target.stale) target.stale = !patch(target, *changed);
    // One for all, unless a set tells interfaces apart.
    const bool apart = driver_->by_interface();
    std::optional<std::vector<SourceEntry>> resolved;
    bool have = false;
    std::size_t left = static_cast<std::size_t>(
        std::count_if(targets_.begin(), targets_.end(), [](const Target& t) { return t.stale; }));
    for (Target& target : targets_) {
        if (!target.stale) continue;
        left--;
        if (apart || !have) resolved = driver_->at_driver_by_port(classify_.fates, target.receivers);
        have = true;
        leave_to_kernel(target, apart);
        const bool all = whole || !target.written;
        std::size_t count = 0;
        Result<void> done;
        std::string ports;  // why they are left to the kernel
        if (resolved) {
            count = resolved->size();
            const bool by_port = count && resolved->back().port;
            done = target.write(apart || !left ? std::move(*resolved) : *resolved, all);
            if (!done && done.error().code == ErrorCode::config && by_port) ports = done.error().message;
        } else {
            ports =
                "it takes too long to tell what they do among the other entries; let wide prefixes have "
                "fewer ports";
        }
        if (!ports.empty()) {
            auto wanted = driver_->at_driver(classify_.fates, target.receivers);
            count = wanted.size();
            done = target.write(std::move(wanted), all);
        }
        if (done) ports_problem(target, ports);
        target.stale = false;
        if (!done) {
            const std::string text =
                fmt::format("{}: the sets do not act as they are: {}", target.name, done.error().message);
            if (text != target.status.problem) tell_(true, text);
            target.status.problem = text;
            // What does not fit is tried again when it changes; anything else with the next look at
            // everything.
            continue;
        }
        if (!target.status.problem.empty())
            tell_(false, fmt::format("{}: the sets act as they are again", target.name));
        target.status.problem.clear();
        target.status.entries = count;
        target.written = true;
        (all ? target.status.replaced : target.status.updated)++;
    }
}

}  // namespace synward
