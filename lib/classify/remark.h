// SPDX-License-Identifier: GPL-2.0-or-later
// Gives connections that exist the class byte that the sets have for them now, by
// ctnetlink. New connections get theirs from the module or the mangle rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "lib/address.h"
#include "lib/netlink.h"
#include "lib/result.h"

struct nlmsghdr;

namespace synward {

// The addresses that some prefixes cover. Immutable: any number of threads.
class CoveredAddresses {
  public:
    explicit CoveredAddresses(std::vector<Prefix> prefixes);
    [[nodiscard]] bool contains(const Address& address) const;
    [[nodiscard]] bool any(sw_family family) const { return !of_[family].empty(); }

  private:
    std::vector<Prefix> of_[2];  // sorted; none covers another
};

// What conntrack knows of a connection: its original direction, as its first packet came
// in. Of an expected connection (the data of FTP, say), that of the one that expected it,
// its master, whose class it has; where that was expected too, conntrack does not tell by whom.
struct Connection {
    Address source;
    Address destination;
    std::uint8_t protocol = 0;           // IPPROTO_*
    std::uint16_t source_port = 0;       // host byte order; 0 where the protocol has none
    std::uint16_t destination_port = 0;  // likewise
    std::uint32_t mark = 0;              // its own, also of an expected connection
};
// Of a message of ctnetlink; nothing if it is none or not whole. Pure.
[[nodiscard]] std::optional<Connection> read_connection(const nlmsghdr* message);

// The class byte that a connection gets which has `now`, and of which the sets say `found`.
// A fate that no set gives any more goes back to 0: whether the handshake was validated
// once is not known then. What no set gave stays as it is: 0, SW_MARK_VALIDATED, and
// `decided`, which the deciders give (decide.accept_mark; 0: none).
[[nodiscard]] std::uint8_t class_after(std::uint8_t now, std::optional<std::uint8_t> found,
                                       std::uint8_t decided);

// Move-only; one thread at a time. Of the network namespace of open().
class Remarker {
  public:
    // What the sets say of a connection. `unclear`: it depends on what conntrack does not
    // know (the interface it came in by, the packet's mark). `opened_here`: by this host, so
    // that no set was ever asked. Both stay as they are.
    struct Answer {
        std::optional<std::uint8_t> found;
        bool unclear = false;
        bool opened_here = false;
    };
    using Find = std::function<Answer(const Connection&)>;
    struct Counts {
        std::size_t connections = 0;  // that there are, of the families concerned
        std::size_t concerned = 0;    // whose source is covered
        std::size_t changed = 0;
        std::size_t unclear = 0;
        std::size_t gone = 0;  // before they could be changed
    };

    // `unsupported` where the kernel has no ctnetlink.
    static Result<Remarker> open();
    // One dump for each family that is concerned. Only the class byte is written; `decided`
    // as for class_after(). A thousand connections that are not concerned take about a
    // millisecond.
    Result<Counts> run(const CoveredAddresses& covered, const Find& find, std::uint8_t decided = 0);

  private:
    Remarker(NetlinkSocket dump, NetlinkSocket change) : dump_(std::move(dump)), change_(std::move(change)) {}
    Result<void> dump(std::uint8_t family, const CoveredAddresses& covered, const Find& find, Counts& counts);
    void take(const nlmsghdr* message, const CoveredAddresses& covered, const Find& find, Counts& counts);
    void add_change(const nlmsghdr* message, std::uint8_t to);
    void flush(Counts& counts);

    NetlinkSocket dump_;
    NetlinkSocket change_;
    std::vector<char> batch_;
    std::size_t waiting_ = 0;
    std::uint8_t decided_ = 0;
    int error_ = 0;
};

}  // namespace synward
