// SPDX-License-Identifier: GPL-2.0-or-later
// A linear ruleset as `iptables-save` or `nft -j list ruleset` prints it, reduced to
// what it does with the first packet of a connection that comes in: that is what
// sets can say. Conntrack decides what a first packet is; those of ICMP are requests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/address.h"
#include "lib/result.h"

namespace synward {

// Destination ports of one protocol, both ends included. ICMP has type * 256 + code
// here, protocols without ports have 0. What ipset calls proto:port.
struct ServiceRange {
    std::uint8_t protocol = 0;
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    auto operator<=>(const ServiceRange&) const = default;
};
// tcp, udp, sctp, udplite: ipset knows their ports.
[[nodiscard]] bool has_ports(std::uint8_t protocol);
[[nodiscard]] bool is_icmp(std::uint8_t protocol);
// All that this protocol can begin a connection with.
[[nodiscard]] std::vector<ServiceRange> whole_protocol(std::uint8_t protocol);

struct RuleSource {
    Prefix prefix;
    std::uint32_t timeout = 0;  // seconds, then the rule does not match it any more; 0: it stays
};

// What a rule asks of a packet: one of each list that is there. An empty list that
// is there matches nothing.
struct RuleMatch {
    bool ipv4 = true;
    bool ipv6 = true;
    std::optional<std::vector<RuleSource>> sources;
    std::optional<std::vector<std::string>> interfaces;  // it came in by
    std::optional<std::vector<ServiceRange>> services;
};

enum class RuleTarget : std::uint8_t {
    accept,
    drop,
    back,     // to the chain that jumped here; in the first chain: its policy
    jump,     // through another chain and, if that says nothing, on
    nothing,  // says nothing about new connections
};

struct SourceRule {
    unsigned line = 0;          // of the file; nft: the rule's handle
    std::string text;           // as it stands there
    std::string comment;        // its own; may be empty
    std::string refusal;        // why sets cannot say it; empty: they can
    std::uint64_t packets = 0;  // that it has matched, where the file tells
    std::uint64_t bytes = 0;
    RuleMatch match;
    RuleTarget target = RuleTarget::nothing;
    std::size_t chain = 0;  // that it jumps to
};

struct SourceChain {
    std::string name;  // "INPUT"; nft: "inet filter input"
    bool base = false;
    bool drops = false;  // its policy
    std::vector<SourceRule> rules;
};

struct Ruleset {
    bool nft = false;
    std::vector<SourceChain> chains;
    // The chain that packets of a family enter; nothing: the file says nothing about it.
    std::optional<std::size_t> entry4;
    std::optional<std::size_t> entry6;
    std::vector<std::string> notes;  // what an administrator should know, each once

    [[nodiscard]] std::optional<std::size_t> entry(sw_family family) const {
        return family == SW_IPV4 ? entry4 : entry6;
    }
    // "line 7" or "rule with handle 7 of chain inet filter input"
    [[nodiscard]] std::string place(const SourceChain& chain, const SourceRule& rule) const;
};

struct ImportOptions {
    std::string chain = "INPUT";         // nft: whose hook has this name counts too, in lower case
    std::string table;                   // empty: iptables' `filter`; nft: any
    bool reject_as_drop = false;         // REJECT becomes DROP instead of being refused
    bool skip_log = false;               // LOG is left out instead of being refused
    bool skip_cookies = false;           // ACCEPT is the fate `allow` instead of `accept`
    std::optional<sw_family> family;     // of iptables-save text that does not tell
    std::size_t most_entries = 1 << 20;  // of all sets together
};

// Either format, told apart by its first character. The error (code `config`) names
// the line. What single rules say that sets cannot is in their `refusal`.
[[nodiscard]] Result<Ruleset> parse_ruleset(std::string_view text, const ImportOptions& options);
[[nodiscard]] Result<Ruleset> parse_iptables(std::string_view text, const ImportOptions& options);
[[nodiscard]] Result<Ruleset> parse_nft_json(std::string_view text, const ImportOptions& options);

// What both parsers understand alike; nothing for what is no such thing.
[[nodiscard]] std::optional<std::uint8_t> parse_protocol(std::string_view word);  // a name or number
[[nodiscard]] std::string protocol_word(std::uint8_t protocol);  // as ipset and iptables read it
[[nodiscard]] std::optional<std::uint8_t> parse_icmp_type(std::string_view word, bool ipv6);
// "a.b.c.d/24", "/255.255.255.0", an address; bits behind the length are cleared.
[[nodiscard]] std::optional<Prefix> parse_source(std::string_view text);
// A rule about connections that exist (`ongoing`) or packets of none (`others`): it says
// nothing about new ones, or is refused. Expected ones have the class of their master.
void settle_state(bool ongoing, bool others, SourceRule& rule);

}  // namespace synward
