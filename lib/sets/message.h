// SPDX-License-Identifier: GPL-2.0-or-later
// The messages in which the kernel lists its sets. Pure: bytes in, entries out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "lib/sets/reader.h"

namespace synward {

// Takes the messages of one listing as they come; a set may need several of them.
class SetListing {
  public:
    using Head = std::function<void(const SetHeader&)>;

    // `head` is called when a set begins, `take` for each of its entries; either may be empty.
    SetListing(Head head, SetReader::Take take) : head_(std::move(head)), take_(std::move(take)) {}

    // The payload behind the netlink header, whatever it holds; padded to four bytes,
    // as netlink does. False: it cannot be understood, and nothing of the listing is to be believed.
    [[nodiscard]] bool message(std::span<const std::uint8_t> payload);
    // How the set is called that the last message was about.
    [[nodiscard]] const std::string& name() const { return header_.name; }

  private:
    bool header(std::span<const std::uint8_t> data);
    bool entries(std::span<const std::uint8_t> data);

    Head head_;
    SetReader::Take take_;
    SetHeader header_;
};

// The one entry that somebody added to this set, or removed from it, by what the kernel was asked
// for: `told` are the attributes of one entry of IPSET_CMD_ADD or _DEL. Nothing where that is none,
// several (a range), or not certain to be what the set has now: sets of other kinds than addresses
// and networks with or without a port, with a netmask, or with forceadd.
[[nodiscard]] std::optional<SetEntry> read_told_entry(const SetHeader& header,
                                                      std::span<const std::uint8_t> told);

}  // namespace synward
