// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/fates.h"

#include <algorithm>
#include <utility>

namespace synward {

std::string_view fate_verdict_name(FateVerdict verdict) {
    switch (verdict) {
        case FateVerdict::accept:
            return "accept";
        case FateVerdict::drop:
            return "drop";
        case FateVerdict::go_on:
            break;
    }
    return "continue";
}

Fates::Fates()
    : fates_{{"deny", SW_MARK_DENY, FateVerdict::drop},
             {"allow", SW_MARK_ALLOW, FateVerdict::accept},
             {"accept", SW_MARK_ACCEPT, FateVerdict::accept}} {}

bool Fates::add(Fate fate) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '.' || c == '-';
    };
    if (fate.name.empty() || fate.name.size() >= SW_NAME_LENGTH || fate.name[0] == '-' ||
        !std::all_of(fate.name.begin(), fate.name.end(), allowed))
        return false;
    if (fate.mark < SW_MARK_FIRST || find(fate.name) || find(fate.mark)) return false;
    fates_.push_back(std::move(fate));
    return true;
}

const Fate* Fates::find(std::string_view name) const {
    const auto found =
        std::find_if(fates_.begin(), fates_.end(), [&](const Fate& fate) { return fate.name == name; });
    return found == fates_.end() ? nullptr : &*found;
}

const Fate* Fates::find(std::uint8_t mark) const {
    const auto found =
        std::find_if(fates_.begin(), fates_.end(), [&](const Fate& fate) { return fate.mark == mark; });
    return found == fates_.end() ? nullptr : &*found;
}

sw_fate Fates::at_driver(std::uint8_t mark) const {
    if (mark == SW_MARK_ALLOW) return SW_FATE_ALLOW;
    const Fate* fate = find(mark);
    return fate && fate->verdict == FateVerdict::drop ? SW_FATE_DENY : SW_FATE_CHECK;
}

}  // namespace synward
