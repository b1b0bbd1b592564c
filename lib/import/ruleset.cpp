// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/ruleset.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>

#include "lib/import/block.h"

namespace synward {
namespace {

template <typename T>
std::optional<T> parse_number(std::string_view word) {
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
}

constexpr std::pair<std::string_view, std::uint8_t> protocols[] = {
    {"tcp", 6},       {"udp", 17},  {"icmp", 1},  {"icmpv6", 58}, {"ipv6-icmp", 58}, {"sctp", 132},
    {"udplite", 136}, {"dccp", 33}, {"esp", 50},  {"ah", 51},     {"gre", 47},       {"igmp", 2},
    {"ipip", 4},      {"ipv6", 41}, {"ospf", 89}, {"pim", 103},   {"vrrp", 112},     {"l2tp", 115}};

constexpr std::pair<std::string_view, std::uint8_t> icmp4_types[] = {{"echo-reply", 0},
                                                                     {"pong", 0},
                                                                     {"destination-unreachable", 3},
                                                                     {"source-quench", 4},
                                                                     {"redirect", 5},
                                                                     {"echo-request", 8},
                                                                     {"ping", 8},
                                                                     {"router-advertisement", 9},
                                                                     {"router-solicitation", 10},
                                                                     {"time-exceeded", 11},
                                                                     {"parameter-problem", 12},
                                                                     {"timestamp-request", 13},
                                                                     {"timestamp-reply", 14},
                                                                     {"info-request", 15},
                                                                     {"info-reply", 16},
                                                                     {"address-mask-request", 17},
                                                                     {"address-mask-reply", 18}};

constexpr std::pair<std::string_view, std::uint8_t> icmp6_types[] = {{"destination-unreachable", 1},
                                                                     {"packet-too-big", 2},
                                                                     {"time-exceeded", 3},
                                                                     {"parameter-problem", 4},
                                                                     {"echo-request", 128},
                                                                     {"ping", 128},
                                                                     {"echo-reply", 129},
                                                                     {"mld-listener-query", 130},
                                                                     {"mld-listener-report", 131},
                                                                     {"mld-listener-done", 132},
                                                                     {"mld-listener-reduction", 132},
                                                                     {"nd-router-solicit", 133},
                                                                     {"router-solicitation", 133},
                                                                     {"nd-router-advert", 134},
                                                                     {"router-advertisement", 134},
                                                                     {"nd-neighbor-solicit", 135},
                                                                     {"neighbour-solicitation", 135},
                                                                     {"neighbor-solicitation", 135},
                                                                     {"nd-neighbor-advert", 136},
                                                                     {"neighbour-advertisement", 136},
                                                                     {"neighbor-advertisement", 136},
                                                                     {"nd-redirect", 137},
                                                                     {"redirect", 137},
                                                                     {"router-renumbering", 138},
                                                                     {"ind-neighbor-solicit", 141},
                                                                     {"ind-neighbor-advert", 142},
                                                                     {"mld2-listener-report", 143}};

template <std::size_t N>
std::optional<std::uint8_t> look_up(const std::pair<std::string_view, std::uint8_t> (&table)[N],
                                    std::string_view word) {
    for (const auto& [name, value] : table)
        if (name == word) return value;
    return std::nullopt;
}

}  // namespace

bool has_ports(std::uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
           protocol == IPPROTO_UDPLITE;
}

bool is_icmp(std::uint8_t protocol) {
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

std::vector<ServiceRange> whole_protocol(std::uint8_t protocol) {
    const auto types = [&](std::initializer_list<unsigned> list) {
        std::vector<ServiceRange> ranges;
        for (const unsigned type : list)
            ranges.push_back({protocol, static_cast<std::uint16_t>(type << 8),
                              static_cast<std::uint16_t>(type << 8 | 0xff)});
        return ranges;
    };
    // Linux, nf_conntrack_proto_icmp.c and _icmpv6.c: what makes a conntrack entry.
    if (protocol == IPPROTO_ICMP) return types({8, 13, 15, 17});
    if (protocol == IPPROTO_ICMPV6) return types({128, 139});
    return {{protocol, 0, static_cast<std::uint16_t>(has_ports(protocol) ? 0xffff : 0)}};
}

std::string Ruleset::place(const SourceChain& chain, const SourceRule& rule) const {
    return nft ? fmt::format("rule with handle {} of chain {}", rule.line, chain.name)
               : fmt::format("line {}", rule.line);
}

std::optional<std::uint8_t> parse_protocol(std::string_view word) {
    if (const auto known = look_up(protocols, word)) return known;
    return parse_number<std::uint8_t>(word);
}

std::string protocol_word(std::uint8_t protocol) {
    switch (protocol) {
        case IPPROTO_TCP:
            return "tcp";
        case IPPROTO_UDP:
            return "udp";
        case IPPROTO_SCTP:
            return "sctp";
        case IPPROTO_UDPLITE:
            return "udplite";
        case IPPROTO_ICMP:
            return "icmp";
        case IPPROTO_ICMPV6:
            return "icmpv6";
        default:
            return std::to_string(protocol);
    }
}

std::optional<std::uint8_t> parse_icmp_type(std::string_view word, bool ipv6) {
    if (const auto known = ipv6 ? look_up(icmp6_types, word) : look_up(icmp4_types, word)) return known;
    return parse_number<std::uint8_t>(word);
}

std::optional<Prefix> parse_source(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    unsigned length = address->bits();
    if (slash != text.npos) {
        const std::string_view mask = text.substr(slash + 1);
        if (const auto dotted = Address::parse(mask); dotted && dotted->family == address->family) {
            const AddressNumber bits = address_number(*dotted);
            length = 0;
            while (length < address->bits() && bits >> (127 - length) & 1) length++;
            if (Block{bits, 128}.widened(length).first != bits) return std::nullopt;  // a mask with holes
        } else if (const auto number = parse_number<unsigned>(mask); number && *number <= address->bits()) {
            length = *number;
        } else {
            return std::nullopt;
        }
    }
    return Block{address_number(*address), 128}.widened(length).prefix(address->family);
}

void settle_state(bool ongoing, bool others, SourceRule& rule) {
    if ((!ongoing && !others) || rule.target == RuleTarget::nothing) return;
    const auto refuse = [&](const char* why) {
        if (rule.refusal.empty()) rule.refusal = why;
    };
    if (others && rule.target != RuleTarget::accept && rule.target != RuleTarget::back)
        return refuse(
            "packets without a connection have no mark: keep this rule in your own chain, and take it out of "
            "the file");
    if (ongoing && rule.target != RuleTarget::accept)
        return refuse(
            "it judges connections that exist: a fate is given when they begin. Keep this rule in your own "
            "chain, and take it out of the file");
    if (ongoing) rule.target = RuleTarget::nothing;
}

Result<Ruleset> parse_ruleset(std::string_view text, const ImportOptions& options) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start == text.npos)
        return fail(
            ErrorCode::config,
            "the ruleset is empty: give it `iptables-save` or `nft -j list ruleset` on standard input");
    return text[start] == '{' ? parse_nft_json(text, options) : parse_iptables(text, options);
}

}  // namespace synward
