// SPDX-License-Identifier: GPL-2.0-or-later
// The format is net/netfilter/ipset/ip_set_core.c's: ip_set_dump_do() and, for the
// entries, the `list` functions of the types.
#include "lib/sets/message.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>

// After the kernel's nfnetlink.h, which it needs.
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace synward {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr unsigned attr_bitmask = 12;  // IPSET_ATTR_BITMASK, Linux 6.2

// Walks over the attributes of one level.
class Attributes {
  public:
    explicit Attributes(Bytes rest) : rest_(rest) {}

    // False at the end, and where the rest is no attribute: see sound().
    bool next() {
        // Fewer bytes than a header are padding.
        if (rest_.size() < NLA_HDRLEN) return false;
        nlattr head{};
        std::memcpy(&head, rest_.data(), sizeof head);
        if (head.nla_len < NLA_HDRLEN || head.nla_len > rest_.size()) {
            sound_ = false;
            return false;
        }
        type_ = head.nla_type & NLA_TYPE_MASK;
        value_ = rest_.subspan(NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
        rest_ = rest_.subspan(std::min<std::size_t>(NLA_ALIGN(head.nla_len), rest_.size()));
        return true;
    }
    [[nodiscard]] bool sound() const { return sound_; }
    [[nodiscard]] unsigned type() const { return type_; }
    [[nodiscard]] Bytes value() const { return value_; }

    // The value as a number in network byte order, of exactly this size.
    bool get(std::uint8_t& out) const { return copy(out); }
    bool get(std::uint16_t& out) const {
        if (!copy(out)) return false;
        out = ntohs(out);
        return true;
    }
    bool get(std::uint32_t& out) const {
        if (!copy(out)) return false;
        out = ntohl(out);
        return true;
    }
    bool get(std::uint64_t& out) const {
        if (!copy(out)) return false;
        out = be64toh(out);
        return true;
    }
    // A string with its terminating zero.
    bool get(std::string_view& out) const {
        const auto* text = reinterpret_cast<const char*>(value_.data());
        const std::size_t length = strnlen(text, value_.size());
        if (value_.empty() || length == value_.size()) return false;
        out = {text, length};
        return true;
    }

  private:
    template <typename T>
    bool copy(T& out) const {
        if (value_.size() != sizeof out) return false;
        std::memcpy(&out, value_.data(), sizeof out);
        return true;
    }

    Bytes rest_;
    Bytes value_;
    unsigned type_ = 0;
    bool sound_ = true;
};

bool read_address(Bytes nested, Address& address) {
    Attributes attributes(nested);
    bool found = false;
    while (attributes.next()) {
        const bool v4 = attributes.type() == IPSET_ATTR_IPADDR_IPV4;
        if (!v4 && attributes.type() != IPSET_ATTR_IPADDR_IPV6) continue;
        if (attributes.value().size() != (v4 ? 4 : 16)) return false;
        address = {};
        address.family = v4 ? SW_IPV4 : SW_IPV6;
        std::copy(attributes.value().begin(), attributes.value().end(), address.bytes.begin());
        found = true;
    }
    return found && attributes.sound();
}

// The length of a mask; nothing if it has holes.
std::optional<unsigned> mask_length(const Address& mask) {
    unsigned length = 0;
    while (length < mask.bits() && mask.bytes[length / 8] >> (7 - length % 8) & 1) length++;
    if (Prefix::around(mask, length).address != mask) return {};
    return length;
}

// An entry of a set of that header. False: it cannot be understood. `further`: attributes that
// a listing does not have.
bool read_entry(const SetHeader& header, Bytes data, SetEntry& entry, bool& further) {
    Attributes attributes(data);
    bool address = false;
    std::optional<std::uint8_t> length;
    while (attributes.next()) {
        bool good = true;
        std::uint8_t byte = 0;
        std::uint32_t number = 0;
        std::uint64_t wide = 0;
        switch (attributes.type()) {
            case IPSET_ATTR_IP:
                good = read_address(attributes.value(), entry.prefix.address);
                address = true;
                break;
            case IPSET_ATTR_CIDR:
                good = attributes.get(byte);
                length = byte;
                break;
            case IPSET_ATTR_PORT:
                good = attributes.get(entry.port);
                break;
            case IPSET_ATTR_PROTO:
                good = attributes.get(entry.protocol);
                break;
            case IPSET_ATTR_MARK:
                good = attributes.get(entry.packet_mark);
                break;
            case IPSET_ATTR_IFACE:
                good = attributes.get(entry.interface);
                break;
            case IPSET_ATTR_NAME:
                good = attributes.get(entry.member);
                break;
            case IPSET_ATTR_CADT_FLAGS:
                good = attributes.get(number);
                entry.nomatch = number & IPSET_FLAG_NOMATCH;
                entry.bridge_port = number & IPSET_FLAG_PHYSDEV;
                entry.wildcard = number & IPSET_FLAG_IFACE_WILDCARD;
                break;
            case IPSET_ATTR_TIMEOUT:
                good = attributes.get(entry.timeout);
                break;
            case IPSET_ATTR_SKBMARK:
                good = attributes.get(wide);
                entry.mark = static_cast<std::uint32_t>(wide >> 32);
                entry.mask = static_cast<std::uint32_t>(wide);
                break;
            case IPSET_ATTR_SKBPRIO:
                good = attributes.get(entry.priority);
                break;
            case IPSET_ATTR_SKBQUEUE:
                good = attributes.get(entry.queue);
                break;
            case IPSET_ATTR_COMMENT:
                good = attributes.get(entry.text);
                break;
            case IPSET_ATTR_PACKETS:
                good = attributes.get(entry.packets);
                break;
            case IPSET_ATTR_BYTES:
                good = attributes.get(entry.bytes);
                break;
            case IPSET_ATTR_CADT_LINENO:
                break;
            default:
                further = true;
                break;
        }
        if (!good) return false;
    }
    if (!attributes.sound()) return false;
    if (header.kind == SetKind::list) {
        if (entry.member.empty() || entry.member.size() >= IPSET_MAXNAMELEN) return false;
    } else {
        if (!address || entry.prefix.address.family != header.family) return false;
        const unsigned bits = entry.prefix.address.bits();
        const unsigned bits_in_common = length ? *length : header.netmask ? header.netmask : bits;
        if (bits_in_common > bits) return false;
        entry.prefix = Prefix::around(entry.prefix.address, bits_in_common);
        if (header.kind == SetKind::net_iface && entry.interface.empty()) return false;
    }
    return true;
}

}  // namespace

bool SetListing::message(Bytes payload) {
    if (payload.size() < sizeof(nfgenmsg)) return false;
    Attributes attributes(payload.subspan(sizeof(nfgenmsg)));
    std::string_view name, type;
    std::uint8_t family = AF_UNSPEC;
    Bytes head, data;
    while (attributes.next()) {
        bool good = true;
        switch (attributes.type()) {
            case IPSET_ATTR_SETNAME:
                good = attributes.get(name) && name.size() < IPSET_MAXNAMELEN;
                break;
            case IPSET_ATTR_TYPENAME:
                good = attributes.get(type) && type.size() < IPSET_MAXNAMELEN;
                break;
            case IPSET_ATTR_FAMILY:
                good = attributes.get(family);
                break;
            case IPSET_ATTR_DATA:
                head = attributes.value();
                break;
            case IPSET_ATTR_ADT:
                data = attributes.value();
                break;
            default:
                break;
        }
        if (!good) return false;
    }
    if (!attributes.sound() || name.empty()) return false;
    if (!type.empty()) {
        header_ = {};
        header_.name = name;
        header_.type = type;
        header_.kind = set_kind(type);
        if (family == AF_INET) header_.family = SW_IPV4;
        if (family == AF_INET6) header_.family = SW_IPV6;
        if (header_.kind != SetKind::other && header_.kind != SetKind::list && !header_.family) return false;
        if (!header(head)) return false;
        if (head_) head_(header_);
    } else if (header_.name != name) {
        return false;  // goes on with a set that never began
    }
    return entries(data);
}

bool SetListing::header(Bytes data) {
    Attributes attributes(data);
    while (attributes.next()) {
        bool good = true;
        std::uint32_t number = 0;
        std::uint8_t bits = 0;
        Address mask;
        switch (attributes.type()) {
            case IPSET_ATTR_ELEMENTS:
                good = attributes.get(header_.elements);
                break;
            case IPSET_ATTR_MAXELEM:
                good = attributes.get(header_.most);
                break;
            case IPSET_ATTR_SIZE:
                // of a list: members that fit
                good = attributes.get(header_.most);
                break;
            case IPSET_ATTR_REFERENCES:
                good = attributes.get(header_.references);
                break;
            case IPSET_ATTR_MEMSIZE:
                good = attributes.get(number);
                header_.memory = number;
                break;
            case IPSET_ATTR_INITVAL:
                good = attributes.get(header_.initval);
                break;
            case IPSET_ATTR_TIMEOUT:
                good = attributes.get(header_.default_timeout);
                header_.timeout = true;
                break;
            case IPSET_ATTR_HASHSIZE:
                good = attributes.get(header_.hash_size);
                break;
            case IPSET_ATTR_BUCKETSIZE:
                good = attributes.get(bits);
                header_.bucket_size = bits;
                break;
            case IPSET_ATTR_MARKMASK:
                // The only number that the kernel writes in its own byte order.
                good = attributes.get(number);
                header_.packet_mark_mask = htonl(number);
                break;
            case IPSET_ATTR_NETMASK:
                good =
                    attributes.get(bits) && header_.family && bits <= (*header_.family == SW_IPV4 ? 32 : 128);
                header_.netmask = bits;
                break;
            case attr_bitmask:
                good = read_address(attributes.value(), mask);
                if (const auto length = mask_length(mask); length && *length)
                    header_.netmask = *length;
                else
                    header_.bitmask = mask;
                break;
            case IPSET_ATTR_CADT_FLAGS:
                good = attributes.get(number);
                header_.counters = number & IPSET_FLAG_WITH_COUNTERS;
                header_.comment = number & IPSET_FLAG_WITH_COMMENT;
                header_.skbinfo = number & IPSET_FLAG_WITH_SKBINFO;
                header_.forceadd = number & IPSET_FLAG_WITH_FORCEADD;
                break;
            default:
                break;
        }
        if (!good) return false;
    }
    return attributes.sound();
}

bool SetListing::entries(Bytes data) {
    if (!take_ || header_.kind == SetKind::other) return true;
    Attributes attributes(data);
    while (attributes.next()) {
        if (attributes.type() != IPSET_ATTR_DATA) continue;
        SetEntry entry;
        bool further = false;
        if (!read_entry(header_, attributes.value(), entry, further)) return false;
        take_(entry);
    }
    return attributes.sound();
}

std::optional<SetEntry> read_told_entry(const SetHeader& header, Bytes told) {
    const bool network = header.kind == SetKind::net || header.kind == SetKind::net_port;
    if (!network && header.kind != SetKind::ip && header.kind != SetKind::ip_port) return {};
    if (header.netmask || header.bitmask || header.forceadd) return {};
    SetEntry entry;
    bool further = false;
    if (!read_entry(header, told, entry, further) || further) return {};
    // A network in a set of addresses stands for each of them; there is no network of everything.
    if (network ? entry.prefix.length == 0 : !entry.prefix.is_host()) return {};
    // Of other protocols the kernel may leave the port out.
    const bool by_port = header.kind == SetKind::ip_port || header.kind == SetKind::net_port;
    if (by_port && entry.protocol != IPPROTO_TCP && entry.protocol != IPPROTO_UDP) return {};
    return entry;
}

}  // namespace synward
