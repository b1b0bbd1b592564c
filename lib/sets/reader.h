// SPDX-License-Identifier: GPL-2.0-or-later
// Reads ipsets as the kernel has them, by raw netlink dumps: a million entries take
// a fifth of a second, which `ipset save` needs four times. Writing is lib/sets/ipset.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/address.h"
#include "lib/netlink.h"
#include "lib/result.h"

namespace synward {

// What an entry of a set is looked up by.
enum class SetKind : std::uint8_t {
    ip,         // hash:ip
    net,        // hash:net
    ip_port,    // hash:ip,port
    net_port,   // hash:net,port
    net_iface,  // hash:net,iface
    ip_mark,    // hash:ip,mark
    list,       // list:set
    other,      // any other type: cannot carry verdicts
};
// The type as ipset writes it; `other` for what is none of these.
[[nodiscard]] SetKind set_kind(std::string_view type);
[[nodiscard]] std::string_view set_kind_type(SetKind kind);  // "hash:ip"; "" for other

struct SetHeader {
    std::string name;
    std::string type;  // "hash:net"
    SetKind kind = SetKind::other;
    std::optional<sw_family> family;  // nothing: list:set
    bool skbinfo = false;             // entries may carry marks
    bool timeout = false;             // entries may expire
    bool counters = false;
    bool comment = false;
    std::uint32_t elements = 0;
    std::uint32_t most = 0;        // maxelem; 0: not told
    std::uint32_t references = 0;  // by rules, other sets, the module
    std::uint64_t memory = 0;      // bytes
    // The random start of its hash: another one is another set under this name. 0: not told.
    std::uint32_t initval = 0;
    // Bits of an address that entries of a set with a netmask have; 0: all. A set with a
    // bitmask that is no netmask cannot be looked up here.
    unsigned netmask = 0;
    std::optional<Address> bitmask;
    std::uint32_t packet_mark_mask = 0xffffffff;  // ip_mark: what of a packet's mark is compared
    std::uint32_t default_timeout = 0;            // seconds, of entries that are added without one
    std::uint32_t hash_size = 0;                  // buckets as they are now; 0: not told
    unsigned bucket_size = 0;                     // entries that fit into one; 0: not told
    bool forceadd = false;                        // full, it takes another entry's place

    bool operator==(const SetHeader&) const = default;
};

struct SetEntry {
    Prefix prefix;                  // of the source; empty (length 0) for members of a list
    std::uint16_t port = 0;         // host byte order; ip_port, net_port
    std::uint8_t protocol = 0;      // IPPROTO_*; likewise
    bool nomatch = false;           // an exception of hash:net*
    std::string_view interface;     // net_iface; valid during the call
    bool wildcard = false;          // net_iface: every interface whose name begins so
    bool bridge_port = false;       // net_iface: "physdev:", the port of a bridge it came by
    std::string_view member;        // list: name of the member set; valid during the call
    std::uint32_t packet_mark = 0;  // ip_mark
    std::uint32_t mark = 0;         // skbmark; 0 where the entry has none
    std::uint32_t mask = 0;         // of skbmark; 0: the entry has no skbinfo
    std::uint32_t timeout = 0;      // seconds left; 0: stays
    std::string_view text;          // comment; valid during the call
    std::uint64_t packets = 0;      // counters, where the set has them
    std::uint64_t bytes = 0;
    std::uint32_t priority = 0;  // skbprio: major << 16 | minor
    std::uint16_t queue = 0;     // skbqueue
};

// Of the caller's network namespace at the time of open(). One thread at a time.
class SetReader {
  public:
    // `unsupported` where the kernel has no ip_set, `privilege` without CAP_NET_ADMIN.
    // While entries are read, the kernel refuses to swap, rename or destroy that set
    // ("busy"), as it does during `ipset save`; headers disturb nobody.
    static Result<SetReader> open();

    // All sets, without their entries; or the one of that name (code `missing`).
    Result<std::vector<SetHeader>> headers();
    Result<SetHeader> header(std::string_view name);

    // Calls back for every entry, in no order; a set that changes meanwhile may show an
    // entry twice or not at all. Returns the header. `unsupported` for a set of kind `other`.
    using Take = std::function<void(const SetEntry&)>;
    Result<SetHeader> read(std::string_view name, const Take& take);

  private:
    SetReader(NetlinkSocket socket, std::uint8_t protocol)
        : socket_(std::move(socket)), protocol_(protocol) {}
    Result<SetHeader> list(std::string_view name, bool entries, const Take& take);

    NetlinkSocket socket_;
    std::uint8_t protocol_;  // the latest that both sides speak
};

}  // namespace synward
