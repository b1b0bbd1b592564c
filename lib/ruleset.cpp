// SPDX-License-Identifier: GPL-2.0-or-later
// Firewall rules that a cookie's connection does not survive, or that keep a
// service from being protected.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "lib/gateway.h"
#include "lib/preflight.h"

namespace synward {
namespace {

using nlohmann::json;

struct PortRange {
    unsigned first = 0;
    unsigned last = 65535;
};

std::optional<unsigned> protected_port(const Config& config, const std::vector<PortRange>& ranges) {
    for (const ServiceConfig& service : config.services)
        for (const std::uint16_t port : service.ports)
            for (const PortRange& range : ranges)
                if (port >= range.first && port <= range.last) return port;
    return std::nullopt;
}

bool protects_host(const Config& config) {
    return std::any_of(config.services.begin(), config.services.end(), [&](const ServiceConfig& s) {
        return s.settings.mode != SW_MODE_OFF && s.settings.delivery != SW_DELIVERY_SYNPROXY &&
               !may_be_forwarded(config, s);
    });
}

Finding redirected(const std::string& where, unsigned port, const HeardPorts& heard) {
    if (heard.contains(static_cast<std::uint16_t>(port)))
        return {
            Severity::error, where,
            fmt::format("it redirects port {}, which is protected and on which something listens here, too "
                        "(docker-proxy does): while the service is armed SYNs are answered, but the "
                        "connections come to where nobody saw them begin, and are reset",
                        port),
            "protect the port on the host or in the container that serves it, or stop what listens here "
            "(docker: \"userland-proxy\": false), or use delivery = \"synproxy\""};
    return {Severity::warning, where,
            fmt::format(
                "it redirects port {}, which is protected, after synward has seen the packet: no listener is "
                "found, so that its SYNs pass unprotected",
                port),
            "let the server listen on the protected port itself, or protect it with delivery = \"synproxy\""};
}

Finding drops_unseen(const std::string& where) {
    return {Severity::error, where,
            "it drops new connections whose first packet is not a SYN; of a connection that a cookie made, "
            "the ACK is "
            "the first packet, so that it would be dropped",
            "take the rule out, or put `meta mark and 0xff == 0x1 accept` (a proven handshake) before it"};
}

const json* member(const json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
}

std::string text(const json& object, const char* key) {
    const json* value = member(object, key);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

bool is_payload(const json& left, const char* protocol, const char* field) {
    const json* payload = member(left, "payload");
    return payload && text(*payload, "protocol") == protocol && text(*payload, "field") == field;
}

// Ports of the right side of a match: 80, {"range": [a, b]}, {"set": [...]}. A
// named set could hold anything.
void collect_ports(const json& right, std::vector<PortRange>& ranges) {
    auto number = [](const json& j) {
        return j.is_number_unsigned() && j <= 65535 ? j.get<unsigned>() : 65536u;
    };
    if (right.is_number()) {
        ranges.push_back({number(right), number(right)});
    } else if (const json* range = member(right, "range"); range && range->is_array() && range->size() == 2) {
        ranges.push_back({number((*range)[0]), number((*range)[1])});
    } else if (const json* set = member(right, "set"); set && set->is_array()) {
        for (const json& element : *set) collect_ports(element, ranges);
    } else if (right.is_array()) {
        for (const json& element : right) collect_ports(element, ranges);
    } else if (right.is_string()) {
        ranges.push_back({});
    }
}

bool names(const json& value, std::string_view word) {
    if (value.is_string()) return value.get<std::string>() == word;
    if (value.is_array())
        return std::any_of(value.begin(), value.end(), [&](const json& j) { return names(j, word); });
    const json* set = member(value, "set");
    return set && names(*set, word);
}

// What matters of one nft rule.
struct NftRule {
    bool other_protocol = false;
    bool has_ports = false;
    std::vector<PortRange> ports;
    bool new_state = false;
    bool not_syn = false;
    bool drops = false;
    bool redirects = false;
};

void read_match(const json& match, NftRule& rule) {
    const json* left = member(match, "left");
    const json* right = member(match, "right");
    if (!left || !right) return;
    const std::string op = text(match, "op");
    if (is_payload(*left, "tcp", "dport") || is_payload(*left, "th", "dport")) {
        rule.has_ports = true;
        if (op == "==")
            collect_ports(*right, rule.ports);
        else
            rule.ports.push_back({});
    }
    if (is_payload(*left, "udp", "dport") || is_payload(*left, "sctp", "dport")) rule.other_protocol = true;
    if (const json* meta = member(*left, "meta"); meta && text(*meta, "key") == "l4proto")
        rule.other_protocol |= op != "!=" && !names(*right, "tcp");
    if (const json* ct = member(*left, "ct"); ct && text(*ct, "key") == "state")
        rule.new_state |= op != "!=" && names(*right, "new");
    const json* masked = member(*left, "&");
    const bool flags =
        is_payload(*left, "tcp", "flags") ||
        (masked && masked->is_array() && !masked->empty() && is_payload((*masked)[0], "tcp", "flags"));
    // "flags != syn" and "flags ! syn" (the bit is not set)
    rule.not_syn |= flags && (op == "!=" || op == "!") && names(*right, "syn");
}

NftRule read_rule(const json& expressions) {
    NftRule rule;
    for (const json& expression : expressions) {
        if (const json* match = member(expression, "match")) read_match(*match, rule);
        rule.drops |= member(expression, "drop") || member(expression, "reject");
        rule.redirects |= member(expression, "dnat") || member(expression, "redirect");
    }
    return rule;
}

std::string chain_key(const json& object, const char* chain) {
    return text(object, "family") + ' ' + text(object, "table") + ' ' + text(object, chain);
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// "80", "1000:2000", "80,443,1000:2000"
std::vector<PortRange> parse_ports(const std::string& list) {
    std::vector<PortRange> ranges;
    std::istringstream stream(list);
    for (std::string item; std::getline(stream, item, ',');) {
        PortRange range{0, 65535};
        const char* end = item.data() + item.size();
        auto [at, error] = std::from_chars(item.data(), end, range.first);
        if (error != std::errc()) continue;
        if (at == end)
            range.last = range.first;
        else
            std::from_chars(at + 1, end, range.last);
        ranges.push_back(range);
    }
    return ranges;
}

bool listed(const std::string& list, std::string_view word) {
    std::istringstream stream(list);
    for (std::string item; std::getline(stream, item, ',');)
        if (item == word) return true;
    return false;
}

}  // namespace

std::vector<Finding> check_nft(const Config& config, std::string_view text_of_json, const HeardPorts& heard) {
    std::vector<Finding> findings;
    const json root = json::parse(text_of_json, nullptr, false);
    const json* list = member(root, "nftables");
    if (!list || !list->is_array()) {
        findings.push_back({Severity::note, "nft",
                            "its list of rules could not be understood and was not checked",
                            "look for rules that redirect protected ports"});
        return findings;
    }
    // Locally made packets never were at the driver.
    std::set<std::string> local;
    for (const json& item : *list)
        if (const json* chain = member(item, "chain"); chain && text(*chain, "hook") == "output")
            local.insert(chain_key(*chain, "name"));
    for (const json& item : *list) {
        const json* rule = member(item, "rule");
        const json* expressions = rule ? member(*rule, "expr") : nullptr;
        if (!expressions || !expressions->is_array() || local.contains(chain_key(*rule, "chain"))) continue;
        NftRule found = read_rule(*expressions);
        if (found.other_protocol) continue;
        const json* handle = member(*rule, "handle");
        const std::string where =
            fmt::format("nft rule {} handle {}", chain_key(*rule, "chain"),
                        handle && handle->is_number_unsigned() ? handle->get<unsigned long long>() : 0ULL);
        if (!found.has_ports) found.ports.push_back({});
        const auto port = protected_port(config, found.ports);
        if (!port) continue;
        if (found.redirects) findings.push_back(redirected(where, *port, heard));
        if (found.new_state && found.not_syn && found.drops && protects_host(config))
            findings.push_back(drops_unseen(where));
    }
    return findings;
}

std::vector<Finding> check_iptables(const Config& config, std::string_view text_of_rules,
                                    const HeardPorts& heard) {
    std::vector<Finding> findings;
    std::istringstream stream{std::string(text_of_rules)};
    std::string table;
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with("*")) table = line.substr(1);
        const std::vector<std::string> words = words_of(line);
        if (words.size() < 2 || words[0] != "-A" || words[1] == "OUTPUT") continue;
        std::vector<PortRange> ports;
        std::string target;
        bool other_protocol = false;
        bool new_state = false;
        bool not_syn = false;
        for (std::size_t i = 2; i + 1 < words.size(); i++) {
            const std::string& value = words[i + 1];
            const bool inverted = words[i - 1] == "!";
            if (words[i] == "-p")
                other_protocol = inverted == (value == "tcp");
            else if (words[i] == "--dport" || words[i] == "--dports")
                ports = inverted ? std::vector<PortRange>{{}} : parse_ports(value);
            else if (words[i] == "--state" || words[i] == "--ctstate")
                new_state |= !inverted && listed(value, "NEW");
            else if (words[i] == "--tcp-flags" && i + 2 < words.size())
                not_syn |= inverted && words[i + 2] == "SYN";
            else if (words[i] == "-j")
                target = value;
        }
        if (other_protocol) continue;
        if (ports.empty()) ports.push_back({});
        const auto port = protected_port(config, ports);
        if (!port) continue;
        const std::string where = fmt::format("iptables rule in table {}: {}", table, line);
        if (target == "DNAT" || target == "REDIRECT") findings.push_back(redirected(where, *port, heard));
        if (new_state && not_syn && (target == "DROP" || target == "REJECT") && protects_host(config))
            findings.push_back(drops_unseen(where));
    }
    return findings;
}

}  // namespace synward
