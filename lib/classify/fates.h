// SPDX-License-Identifier: GPL-2.0-or-later
// What the class byte of a mark (SW_MARK_CLASS_MASK) means: `deny`, `allow`, `accept`,
// and what the config defines ([[fate]]). An ipset entry names its fate by skbmark.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/abi/metadata.h"
#include "lib/abi/policy.h"

namespace synward {

// What the one rule does with a connection of this fate.
enum class FateVerdict : std::uint8_t {
    accept,  // no further rule of this chain
    drop,
    go_on,  // "continue": only the mark is set, for tc, routing or rules of the administrator
};
[[nodiscard]] std::string_view fate_verdict_name(FateVerdict verdict);  // accept, drop, continue

struct Fate {
    std::string name;       // 1 to 27 of [A-Za-z0-9_.-]
    std::uint8_t mark = 0;  // the class byte; never 0 and never SW_MARK_VALIDATED
    FateVerdict verdict = FateVerdict::go_on;

    bool operator==(const Fate&) const = default;
};

// `deny`, `allow` and `accept` first, then the administrator's. Names and marks are unique.
class Fates {
  public:
    Fates();  // the built-in ones
    // False, and nothing changed, if the name or mark is taken or not allowed.
    bool add(Fate fate);

    [[nodiscard]] const std::vector<Fate>& all() const { return fates_; }
    // Null: nobody defined it.
    [[nodiscard]] const Fate* find(std::string_view name) const;
    [[nodiscard]] const Fate* find(std::uint8_t mark) const;
    // What the driver hook does with a source of this class byte: deny for `drop`, allow
    // only for the built-in `allow` (it passes the source unchecked), else check.
    [[nodiscard]] sw_fate at_driver(std::uint8_t mark) const;

    bool operator==(const Fates&) const = default;

  private:
    std::vector<Fate> fates_;
};

}  // namespace synward
