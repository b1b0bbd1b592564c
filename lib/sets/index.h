// SPDX-License-Identifier: GPL-2.0-or-later
// What a list of sets says of a packet: the first set that has an entry for it
// decides; within a set the longest prefix does. The kernel's own look-up (module or
// mangle rule) goes by the same rule; tests compare the two.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/classify/fates.h"
#include "lib/policy.h"
#include "lib/sets/reader.h"

namespace synward {

// What a set is asked about.
struct SetQuery {
    Address source;
    std::uint8_t protocol = 0;   // IPPROTO_*
    std::uint16_t port = 0;      // destination, host byte order
    std::string_view interface;  // it came in by
    std::uint32_t packet_mark = 0;
};

struct OwnedSetEntry {
    Prefix prefix;
    std::uint16_t port = 0;
    std::uint8_t protocol = 0;
    std::uint8_t mark = 0;  // the class byte
    bool nomatch = false;
    std::string interface;  // empty: any
    std::uint32_t packet_mark = 0;
};

// One set's entries, sorted and immutable. Members of a list are sets of their own.
class SetContents;

// An immutable list of sets in the order of their binding.
class SetIndex {
  public:
    explicit SetIndex(std::vector<std::shared_ptr<const SetContents>> sets);
    // The class byte; nothing if no set has an entry for it.
    [[nodiscard]] std::optional<std::uint8_t> find(const SetQuery& query) const;
    // What the driver hook of this interface shall do with whom, sorted by prefix and
    // without duplicates: entries by source alone (ip, net, net_iface of that
    // interface, lists of those). Overlaps are resolved, so that the longest prefix that covers an address
    // has the fate that find() gives it.
    [[nodiscard]] std::vector<SourceEntry> at_driver(const Fates& fates, std::string_view interface) const;

  private:
    std::vector<std::shared_ptr<const SetContents>> sets_;
};

}  // namespace synward
