// SPDX-License-Identifier: GPL-2.0-or-later
// What a list of sets says of a packet: the first set that has an entry for it
// decides; within a set the longest prefix does. The kernel's own look-up (module or
// mangle rule) goes by the same rule; tests compare the two.
#pragma once

#include <cstddef>
#include <cstdint>
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

// One set's entries, sorted and immutable (lib/sets/contents.h). Members of a list are
// sets of their own.
class SetContents;

// An immutable list of sets in the order of their binding.
class SetIndex {
  public:
    explicit SetIndex(std::vector<std::shared_ptr<const SetContents>> sets);
    // The class byte; nothing if no set has an entry for it. An entry whose skbmask has no
    // bit of that byte says nothing, and the next set is asked.
    [[nodiscard]] std::optional<std::uint8_t> find(const SetQuery& query) const;
    // What the driver hook of this interface shall do with whom, sorted by prefix and
    // without duplicates: entries by source alone (ip, net, net_iface of that interface,
    // lists of those). Overlaps are resolved, so that the longest prefix that covers an
    // address has the fate that find() gives it; an exception within a prefix is an entry
    // with the fate check. A source of which an earlier set says something else for some
    // ports or packet marks is left to the kernel.
    [[nodiscard]] std::vector<SourceEntry> at_driver(const Fates& fates, std::string_view interface) const;
    // Entries whose class byte no fate defines.
    [[nodiscard]] std::size_t undefined(const Fates& fates) const;
    // Entries of all sets; of a set that is bound twice, twice.
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] const std::vector<std::shared_ptr<const SetContents>>& sets() const { return sets_; }

  private:
    std::vector<std::shared_ptr<const SetContents>> sets_;
};

}  // namespace synward
