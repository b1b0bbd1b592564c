// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/entry_words.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <span>
#include <utility>

#include "lib/sets/comment.h"
#include "lib/sets/contents.h"
#include "lib/sets/icmp_words.h"
#include "lib/sets/ipset.h"

namespace synward {
namespace {

constexpr std::size_t set_name_most = 31;

struct ProtocolName {
    std::string_view name;
    std::uint8_t number;
};
constexpr std::array<ProtocolName, 4> protocols{
    {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"udplite", IPPROTO_UDPLITE}, {"sctp", IPPROTO_SCTP}}};
// Those without ports that firewalls know, by the names of /etc/protocols, which ipset asks.
constexpr std::array<ProtocolName, 6> others{{{"icmp", IPPROTO_ICMP},
                                              {"igmp", IPPROTO_IGMP},
                                              {"gre", IPPROTO_GRE},
                                              {"esp", IPPROTO_ESP},
                                              {"ah", IPPROTO_AH},
                                              {"ipv6-icmp", IPPROTO_ICMPV6}}};

template <typename Number>
std::optional<Number> number(std::string_view text, int base = 10) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// The network that the text means although bits are set behind its length.
std::optional<Prefix> cut(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address || slash == text.npos) return std::nullopt;
    const auto length = number<unsigned>(text.substr(slash + 1));
    if (!length || *length > address->bits()) return std::nullopt;
    return Prefix::around(*address, *length);
}

// ::ffff:192.0.2.1 and the like.
bool is_mapped(const Prefix& prefix) {
    static const Prefix mapped{*Address::parse("::ffff:0:0"), 96};
    return prefix.length >= mapped.length && mapped.contains(prefix.address);
}

bool has_port(SetKind kind) {
    return kind == SetKind::ip_port || kind == SetKind::net_port;
}

// What `ipset add` takes behind the set's name, but for a list.
std::string element(SetKind kind, const SetEntry& entry, std::string source) {
    if (has_port(kind)) return std::move(source) + ',' + port_word_text({entry.protocol, entry.port});
    if (kind == SetKind::ip_mark) return fmt::format("{},{:#010x}", source, entry.packet_mark);
    if (kind == SetKind::net_iface)
        return fmt::format("{},{}{}", source, entry.bridge_port ? "physdev:" : "", entry.interface);
    return source;
}

std::string_view family_word(sw_family family) {
    return family == SW_IPV4 ? "inet" : "inet6";
}

std::string make_anew(const SetHeader& set) {
    return fmt::format("make it anew: ipset {}",
                       create_command(set.name, set.kind, set.family.value_or(SW_IPV4),
                                      set.most ? set.most : set_entries_most));
}

}  // namespace

Result<Prefix> parse_entry_source(std::string_view text) {
    bool host_bits = false;
    const auto prefix = Prefix::parse(text, &host_bits);
    if (!prefix && host_bits)
        return fail(ErrorCode::usage, fmt::format("'{}' has bits behind its length; the network is {}", text,
                                                  cut(text)->to_string()));
    if (!prefix)
        return fail(ErrorCode::usage,
                    fmt::format("'{}' is no address and no prefix; give one as 203.0.113.7, 203.0.113.0/24 "
                                "or 2001:db8::/32",
                                text));
    if (is_mapped(*prefix))
        return fail(ErrorCode::usage,
                    fmt::format("'{}' never comes over the wire: give the IPv4 address itself", text));
    return *prefix;
}

Result<PortWord> parse_port_word(std::string_view text) {
    const std::size_t colon = text.find(':');
    const std::string_view name = colon == text.npos ? "tcp" : text.substr(0, colon);
    const auto protocol = std::find_if(protocols.begin(), protocols.end(),
                                       [&](const ProtocolName& p) { return p.name == name; });
    const auto port = number<std::uint16_t>(colon == text.npos ? text : text.substr(colon + 1));
    if (protocol == protocols.end() || !port || *port == 0)
        return fail(ErrorCode::usage,
                    fmt::format("'{}' is no port; give one as 80 or udp:53 (tcp, udp, udplite, sctp; 1 to "
                                "65535)",
                                text));
    return PortWord{protocol->number, *port};
}

std::string port_word_text(const PortWord& port) {
    std::string name = std::to_string(port.protocol);  // ipset takes the number as well
    for (const auto& known :
         {std::span<const ProtocolName>(protocols), std::span<const ProtocolName>(others)})
        for (const ProtocolName& protocol : known)
            if (protocol.number == port.protocol) name = protocol.name;
    if (port.protocol == IPPROTO_ICMP || port.protocol == IPPROTO_ICMPV6)
        return fmt::format("{}:{}", name, icmp_word(port.protocol == IPPROTO_ICMPV6, port.port));
    return fmt::format("{}:{}", name, port.port);
}

Result<std::uint8_t> parse_fate_word(std::string_view text, const Fates& fates) {
    if (const Fate* fate = fates.find(text)) return fate->mark;
    if (text.starts_with("0x")) {
        const auto mark = number<std::uint8_t>(text.substr(2), 16);
        if (mark && (*mark == 0 || *mark >= SW_MARK_FIRST || fates.find(*mark))) return *mark;
        return fail(ErrorCode::usage,
                    fmt::format("no entry can have the mark '{}': give 0x{:x} to 0xff, or 0x0 for no fate",
                                text, SW_MARK_FIRST));
    }
    std::string names;
    for (const Fate& fate : fates.all()) names += (names.empty() ? "" : ", ") + fate.name;
    return fail(ErrorCode::usage,
                fmt::format("no fate is called '{}'; there are {}, and those that a section [[fate]] of the "
                            "config defines by name, mark and verdict",
                            text, names));
}

std::string fate_word(std::uint8_t mark, const Fates& fates) {
    if (mark == 0) return "none";
    if (const Fate* fate = fates.find(mark)) return fate->name;
    return fmt::format("0x{:02x}", mark);
}

Result<std::string> entry_word(const SetHeader& set, const EntryPlace& place) {
    if (const std::string problem = unfit(set); !problem.empty()) return fail(ErrorCode::mismatch, problem);
    const auto no = [&](std::string_view what) {
        return fail(ErrorCode::usage, fmt::format("the set {} is of type {}, {}", set.name, set.type, what));
    };
    const std::string source = place.source.to_string();
    if (set.kind == SetKind::list) return no("whose members are sets: change those");
    if (set.kind == SetKind::ip_mark)
        return no(fmt::format("whose entries have a packet mark: ipset add {} {},0x1 skbmark 0xd/0xff",
                              set.name, source));
    if (set.family && *set.family != place.source.address.family)
        return fail(
            ErrorCode::usage,
            fmt::format("the set {} is of family {} and cannot hold {}: name a set of family {}", set.name,
                        family_word(*set.family), source, family_word(place.source.address.family)));
    if (has_port(set.kind) && !place.port) return no("whose entries have a port: give --port");
    if (!has_port(set.kind) && place.port) return no("whose entries have no port: leave out --port");
    const bool by_interface = set.kind == SetKind::net_iface;
    if (by_interface && place.interface.empty())
        return no("whose entries have an interface: give --interface");
    if (!by_interface && !place.interface.empty())
        return no("whose entries have no interface: leave out --interface");
    if (by_interface && (!is_set_word(place.interface) || place.interface.size() > 15 ||
                         place.interface.find(',') != std::string::npos))
        return fail(ErrorCode::usage, fmt::format("'{}' is no name of an interface", place.interface));
    const bool hosts = set.kind == SetKind::ip || set.kind == SetKind::ip_port;
    if (hosts && !place.source.is_host())
        return no(
            fmt::format("which holds single addresses and not {}: name a set of type hash:net", source));
    // hash:net,iface is the only type that can.
    if (place.source.length == 0 && !by_interface) {
        const bool four = place.source.address.family == SW_IPV4;
        return no(fmt::format("which cannot hold {}: give its halves {} and {}", source,
                              four ? "0.0.0.0/1" : "::/1", four ? "128.0.0.0/1" : "8000::/1"));
    }
    if (place.port) return fmt::format("{},{}", source, port_word_text(*place.port));
    if (by_interface) return fmt::format("{},{}", source, place.interface);
    return source;
}

std::string entry_word(SetKind kind, const SetEntry& entry) {
    if (kind == SetKind::list) return std::string(entry.member);
    return element(kind, entry, entry.prefix.to_string()) + (entry.wildcard ? " wildcard" : "");
}

Result<std::string> add_command(const SetHeader& set, const EntryPlace& place, const EntryVerdict& verdict) {
    const auto word = entry_word(set, place);
    if (!word) return tl::unexpected(word.error());
    std::string command = fmt::format("add {} {}", set.name, *word);
    if (verdict.timeout.count() != 0 && !set.timeout)
        return fail(
            ErrorCode::mismatch,
            fmt::format("the set {} was made without timeout, so its entries cannot expire: leave out "
                        "--for, or {}",
                        set.name, make_anew(set)));
    if (verdict.timeout < std::chrono::seconds(0) || verdict.timeout > set_timeout_most)
        return fail(
            ErrorCode::usage,
            fmt::format("entries of sets can be made for at most {} s (24 days); without --for they stay",
                        set_timeout_most.count()));
    // Said even if it is 0: what was there for ten minutes may stay from now on.
    if (set.timeout) command += fmt::format(" timeout {}", verdict.timeout.count());
    command += fmt::format(" skbmark 0x{:x}/0xff", verdict.mark);
    if (!verdict.comment.empty()) {
        if (!set.comment)
            return fail(
                ErrorCode::mismatch,
                fmt::format("the set {} was made without comment, so its entries can have none: leave "
                            "out --comment, or {}",
                            set.name, make_anew(set)));
        const bool plain = std::none_of(verdict.comment.begin(), verdict.comment.end(), [](char c) {
            return c == '"' || c == '\\' || (static_cast<unsigned char>(c) < ' ') || c == 0x7f;
        });
        if (!plain || verdict.comment.size() > set_comment_most)
            return fail(ErrorCode::usage,
                        fmt::format("a comment has at most {} bytes, and no quotes, backslashes or line ends",
                                    set_comment_most));
        command += fmt::format(" comment \"{}\"", verdict.comment);
    }
    return command + " -exist";
}

std::string save_line(const SetHeader& set, const SetEntry& entry) {
    // Of a netmask the set knows itself, and hash:ip of IPv6 takes no prefix.
    const bool hosts =
        set.kind == SetKind::ip || set.kind == SetKind::ip_port || set.kind == SetKind::ip_mark;
    std::string line = fmt::format("add {} ", set.name);
    if (set.kind == SetKind::list)
        line += entry.member;
    else
        line += element(set.kind, entry, hosts ? entry.prefix.address.to_string() : entry.prefix.to_string());
    // Where it is 0 too: a set may have another default.
    if (set.timeout) line += fmt::format(" timeout {}", entry.timeout);
    if (entry.nomatch) line += " nomatch";
    if (entry.wildcard) line += " wildcard";
    if (set.counters) line += fmt::format(" packets {} bytes {}", entry.packets, entry.bytes);
    if (!entry.text.empty())
        line += fmt::format(" comment \"{}\"", plain_comment(entry.text, set_comment_most));
    if (entry.mark != 0 || entry.mask != 0) {
        line += fmt::format(" skbmark {:#x}", entry.mark);
        if (entry.mask != UINT32_MAX) line += fmt::format("/{:#x}", entry.mask);
    }
    if (entry.priority != 0)
        line += fmt::format(" skbprio {:x}:{:x}", entry.priority >> 16, entry.priority & 0xffff);
    if (entry.queue != 0) line += fmt::format(" skbqueue {}", entry.queue);
    return line;
}

std::string restore_command(const SetHeader& set, const SetEntry& entry) {
    return save_line(set, entry) + " -exist";
}

std::string create_command(std::string_view name, SetKind kind, sw_family family, std::uint32_t most) {
    // The mark of an entry is its member's, unless the list has room for marks itself.
    if (kind == SetKind::list) return fmt::format("create {} list:set", name);
    return fmt::format("create {} {} family {} maxelem {} bucketsize {}{} timeout 0 counters comment skbinfo",
                       name, set_kind_type(kind), family_word(family), most, set_bucket,
                       // The lowest byte of a packet's mark is the class, which is being looked for.
                       kind == SetKind::ip_mark ? " markmask 0xffffff00" : "");
}

Result<void> check_set_name(std::string_view name) {
    if (is_set_word(name) && name.size() <= set_name_most && name.find(',') == name.npos) return {};
    return fail(ErrorCode::usage,
                fmt::format("'{}' is no name of a set: 1 to {} characters without blanks, quotes and commas",
                            name, set_name_most));
}

}  // namespace synward
