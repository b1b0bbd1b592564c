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

// Entries of one set whose class byte no fate defines: they do nothing.
struct UndefinedMark {
    std::string set;
    std::uint8_t mark = 0;
    std::size_t entries = 0;

    bool operator==(const UndefinedMark&) const = default;
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
    // What the driver hook shall do with whom, sorted by place and without duplicates.
    // `receivers` are the devices by which the kernel, and so ipset, gets the packets of that
    // hook (Interface::receivers); where there are several, an entry of net_iface for one of
    // them holds for some packets. Overlaps are resolved, so that the longest prefix that
    // covers an address has the fate that find() gives it; an exception within a prefix is an
    // entry with the fate check. A source of which a set before says something else for some
    // packet marks or receivers is left to the kernel; one that entries of sets by port say
    // something of, at each TCP port, the longest prefix among the entries for that port, and
    // only where there is none the longest of the others. Nothing if that would be more than
    // two million steps.
    [[nodiscard]] std::optional<std::vector<SourceEntry>> at_driver_by_port(
        const Fates& fates, const std::vector<std::string>& receivers) const;
    // Of these, what lies in a prefix; whatever is around it is considered, but not told. Nothing as
    // well where more than four thousand entries of a set lie there: then all of them are as cheap.
    [[nodiscard]] std::optional<std::vector<SourceEntry>> at_driver_within(
        const Prefix& prefix, const Fates& fates, const std::vector<std::string>& receivers) const;
    // Likewise for everybody, but what depends on ports is left to the kernel: there are only entries for
    // every port.
    [[nodiscard]] std::vector<SourceEntry> at_driver(const Fates& fates,
                                                     const std::vector<std::string>& receivers) const;
    // Whether a set of it tells interfaces apart, or ports.
    [[nodiscard]] bool by_interface() const;
    [[nodiscard]] bool by_port() const;
    // Of members of lists, the member is named.
    [[nodiscard]] std::vector<UndefinedMark> undefined(const Fates& fates) const;
    // Entries of all sets; of a set that is bound twice, twice.
    [[nodiscard]] std::size_t size() const;
    [[nodiscard]] const std::vector<std::shared_ptr<const SetContents>>& sets() const { return sets_; }

  private:
    std::vector<std::shared_ptr<const SetContents>> sets_;
};

}  // namespace synward
