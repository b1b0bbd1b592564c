// SPDX-License-Identifier: GPL-2.0-or-later
// What `nft -j list ruleset` prints; libnftables-json(5).
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/import/block.h"
#include "lib/import/ruleset.h"
#include "lib/sets/entry_words.h"

namespace synward {
namespace {

using nlohmann::json;

constexpr unsigned deepest_json = 40;
// linux/netfilter.h, which netinet/in.h does not bear before it.
constexpr int nfproto_ipv4 = 2;
constexpr int nfproto_ipv6 = 10;

const json* member(const json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() ? nullptr : &*found;
}

std::string text_of(const json& object, const char* key) {
    const json* value = member(object, key);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

// nlohmann reads any depth, but prints and walks by recursion.
bool too_deep(std::string_view text) {
    unsigned depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest_json) return true;
        } else if (c == ']' || c == '}') {
            if (depth > 0) depth--;
        }
    }
    return false;
}

std::string print(const json& value) {
    std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
    if (text.size() > 300) text = text.substr(0, 300) + "...";
    return text;
}

std::string lowered(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return text;
}

using NamedSets = std::map<std::string, const json*>;  // "family table name" -> its elements

class ExpressionReader {
  public:
    ExpressionReader(const ImportOptions& options, const NamedSets& sets, std::string table, SourceRule& rule,
                     Ruleset& ruleset)
        : options_(options), sets_(sets), table_(std::move(table)), rule_(rule), ruleset_(ruleset) {}

    // The chain that it jumps to, if any.
    std::string read(const json& expressions) {
        for (const json& expression : expressions) {
            if (!rule_.refusal.empty()) break;
            read_one(expression);
        }
        if (rule_.refusal.empty()) finish();
        return jump_;
    }

  private:
    void refuse(std::string why) {
        if (rule_.refusal.empty()) rule_.refusal = std::move(why);
    }

    void note(std::string text) {
        if (std::find(ruleset_.notes.begin(), ruleset_.notes.end(), text) == ruleset_.notes.end())
            ruleset_.notes.push_back(std::move(text));
    }

    void read_one(const json& expression) {
        if (!expression.is_object() || expression.size() != 1) return refuse("it is not understood");
        const std::string kind = expression.begin().key();
        const json& value = expression.begin().value();
        if (kind == "counter") return read_counter(value);
        if (kind == "match") return read_match(value);
        if (kind == "accept") return end(RuleTarget::accept);
        if (kind == "drop") return end(RuleTarget::drop);
        if (kind == "return") return end(RuleTarget::back);
        if (kind == "continue") return;
        if (kind == "jump") {
            jump_ = text_of(value, "target");
            return end(RuleTarget::jump);
        }
        if (kind == "reject") {
            if (!options_.reject_as_drop)
                return refuse(
                    "the one rule drops in silence, it cannot reject: allow that by --reject-as-drop");
            note("REJECT became DROP: clients wait for a timeout instead of being told");
            return end(RuleTarget::drop);
        }
        if (kind == "log") {
            if (!options_.skip_log) return refuse("sets do not log: leave that out by --skip-log");
            note("rules that log were left out");
            return;
        }
        if (kind == "vmap")
            return refuse("it asks a verdict map that is elsewhere, or goes on: write a rule for each");
        if (kind == "xt") return refuse("it is a rule of iptables: give iptables-save's output instead");
        if (kind == "limit") return refuse("a rate is nothing that a set can be asked about");
        if (kind == "goto") return refuse("a goto does not come back as a jump does");
        refuse(fmt::format("`{}` is nothing that sets can say", kind.substr(0, 40)));
    }

    // A named one counts for others too.
    void read_counter(const json& counter) {
        const auto number = [&](const char* key) {
            const json* value = member(counter, key);
            return value && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
        };
        rule_.packets = number("packets");
        rule_.bytes = number("bytes");
    }

    void end(RuleTarget target) {
        if (rule_.target != RuleTarget::nothing) return refuse("it has two verdicts");
        rule_.target = target;
    }

    void read_match(const json& match) {
        const json* left = member(match, "left");
        const json* right = member(match, "right");
        const std::string op = text_of(match, "op");
        if (!left || !right) return refuse("it is not understood");
        if (op != "==" && op != "in")
            return refuse(
                fmt::format("the comparison `{}`: a set holds what is, as a list or range", op.substr(0, 8)));
        if (const json* payload = member(*left, "payload"))
            return read_payload(text_of(*payload, "protocol"), text_of(*payload, "field"), *right);
        if (const json* meta = member(*left, "meta")) return read_meta(text_of(*meta, "key"), *right);
        if (const json* ct = member(*left, "ct"); ct && text_of(*ct, "key") == "state")
            return read_state(*right);
        refuse("it matches what no set can be asked about");
    }

    void read_payload(const std::string& protocol, const std::string& field, const json& right) {
        if (field == "saddr" && (protocol == "ip" || protocol == "ip6"))
            return read_sources(protocol == "ip" ? SW_IPV4 : SW_IPV6, right);
        if (protocol == "ip" && field == "protocol") {
            only(SW_IPV4);
            return read_protocols(right);
        }
        if (protocol == "ip6" && field == "nexthdr") {
            only(SW_IPV6);
            return read_protocols(right);
        }
        if (field == "dport") return read_ports(protocol, right);
        if ((protocol == "icmp" || protocol == "icmpv6") && field == "type")
            return read_icmp(protocol == "icmpv6", right);
        if (field == "daddr")
            return refuse(
                "it matches the destination address: sets are asked about source and destination port");
        refuse(fmt::format("{} {} is nothing that a set can be asked about", protocol.substr(0, 20),
                           field.substr(0, 20)));
    }

    void read_meta(const std::string& key, const json& right) {
        if (key == "iifname" || key == "iif") return read_interfaces(right);
        if (key == "l4proto") return read_protocols(right);
        if (key == "nfproto") {
            if (right == "ipv4" || right == nfproto_ipv4) return only(SW_IPV4);
            if (right == "ipv6" || right == nfproto_ipv6) return only(SW_IPV6);
        }
        refuse(fmt::format("meta {} is nothing that a set can be asked about", key.substr(0, 20)));
    }

    void only(sw_family family) { (family == SW_IPV4 ? rule_.match.ipv6 : rule_.match.ipv4) = false; }

    // Calls for every element of a value: alone, in a set of the rule, in a named set. The
    // seconds that it stays there are told too; 0: for good.
    template <typename Take>
    void each_expiring(const json& right, Take take) {
        if (!rule_.refusal.empty()) return;
        if (right.is_string() && right.get_ref<const std::string&>().starts_with('@')) {
            const std::string name = right.get<std::string>().substr(1);
            const auto found = sets_.find(table_ + ' ' + name);
            if (found == sets_.end()) return refuse(fmt::format("the set {} is not in the file", name));
            note(
                "elements of named sets are taken as they are now: what programs add to those later is not "
                "seen");
            if (found->second)
                for (const json& element : *found->second) each_element(element, take);
            return;
        }
        if (const json* set = member(right, "set")) {
            if (!set->is_array()) return each_element(*set, take);
            for (const json& element : *set) each_element(element, take);
            return;
        }
        if (right.is_array()) {
            for (const json& element : right) each_element(element, take);
            return;
        }
        each_element(right, take);
    }

    template <typename Take>
    void each_element(const json& element, Take take) {
        if (!rule_.refusal.empty()) return;
        const json* wrapped = member(element, "elem");
        const json* value = wrapped ? member(*wrapped, "val") : nullptr;
        take(value ? *value : element, wrapped ? seconds_left(*wrapped) : 0);
    }

    // Likewise, of what stays in a set as long as the set does.
    template <typename Take>
    void each(const json& right, Take take) {
        each_expiring(right, [&](const json& value, std::uint32_t timeout) {
            if (timeout != 0)
                note("ports and interfaces of sets that expire became parts of entries that stay");
            take(value);
        });
    }

    std::uint32_t seconds_left(const json& element) {
        const json* left = member(element, "expires");
        if (!left) left = member(element, "timeout");
        if (!left || !left->is_number_unsigned()) return 0;
        const auto seconds = left->get<std::uint64_t>();
        if (seconds > static_cast<std::uint64_t>(set_timeout_most.count())) {
            note("elements with more than 24 days left became entries that stay: ipset counts no further");
            return 0;
        }
        return std::max<std::uint32_t>(static_cast<std::uint32_t>(seconds), 1);
    }

    void read_sources(sw_family family, const json& right) {
        only(family);
        if (rule_.match.sources) return refuse("it matches the source address twice");
        std::vector<RuleSource> sources;
        each_expiring(right, [&](const json& value, std::uint32_t timeout) {
            std::vector<Prefix> found;
            if (value.is_string()) {
                if (const auto prefix = parse_source(value.get<std::string>())) found.push_back(*prefix);
            } else if (const json* prefix = member(value, "prefix")) {
                const json* length = member(*prefix, "len");
                const auto address = Address::parse(text_of(*prefix, "addr"));
                if (address && length && length->is_number_unsigned() && *length <= address->bits())
                    found.push_back(Block{address_number(*address), 128}
                                        .widened(length->get<unsigned>())
                                        .prefix(address->family));
            } else if (const json* range = member(value, "range");
                       range && range->is_array() && range->size() == 2 && (*range)[0].is_string() &&
                       (*range)[1].is_string()) {
                const auto first = Address::parse((*range)[0].get<std::string>());
                const auto last = Address::parse((*range)[1].get<std::string>());
                if (first && last) found = range_prefixes(*first, *last);
            }
            if (found.empty() || found[0].address.family != family)
                return refuse(fmt::format("{} is no address, prefix or range of the family", print(value)));
            for (const Prefix& one : found) sources.push_back({one, timeout});
        });
        rule_.match.sources = std::move(sources);
    }

    void read_interfaces(const json& right) {
        if (rule_.match.interfaces) return refuse("it matches the interface twice");
        std::vector<std::string> names;
        each(right, [&](const json& value) {
            const std::string name = value.is_string() ? value.get<std::string>() : std::string();
            if (name.empty() || name.size() > 15 || name.find_first_of("*\"'\\,: \t") != name.npos)
                return refuse(fmt::format("{} is no name of one interface", print(value)));
            names.push_back(name);
        });
        rule_.match.interfaces = std::move(names);
    }

    void read_protocols(const json& right) {
        if (protocols_) return refuse("it matches the protocol twice");
        std::vector<std::uint8_t> protocols;
        each(right, [&](const json& value) {
            std::optional<std::uint8_t> protocol;
            if (value.is_string())
                protocol = parse_protocol(value.get<std::string>());
            else if (value.is_number_unsigned() && value <= 255)
                protocol = value.get<std::uint8_t>();
            if (!protocol || *protocol == 0)
                return refuse(fmt::format("the protocol {} is not known", print(value)));
            protocols.push_back(*protocol);
        });
        protocols_ = std::move(protocols);
    }

    void read_ports(const std::string& protocol, const json& right) {
        if (ports_) return refuse("it matches the destination port twice");
        std::vector<ServiceRange> ports;
        each(right, [&](const json& value) {
            const auto port = [](const json& number) -> std::optional<std::uint16_t> {
                if (!number.is_number_unsigned() || number > 0xffff) return std::nullopt;
                return number.get<std::uint16_t>();
            };
            const json* range = member(value, "range");
            const bool pair = range && range->is_array() && range->size() == 2;
            const auto first = port(pair ? (*range)[0] : value);
            const auto last = port(pair ? (*range)[1] : value);
            if (!first || !last || *last < *first)
                return refuse(fmt::format("{} is no port or range of ports: list without -S", print(value)));
            ports.push_back({0, *first, *last});
        });
        ports_ = std::move(ports);
        if (protocol == "th") return;
        const auto number = parse_protocol(protocol);
        if (!number || !has_ports(*number)) return refuse("ipset knows no ports of this protocol");
        imply(*number);
    }

    void read_icmp(bool ipv6, const json& right) {
        if (ports_) return refuse("it matches the type of ICMP twice");
        const std::uint8_t protocol = ipv6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
        std::vector<ServiceRange> types;
        each(right, [&](const json& value) {
            std::optional<std::uint8_t> type;
            if (value.is_string())
                type = parse_icmp_type(value.get<std::string>(), ipv6);
            else if (value.is_number_unsigned() && value <= 255)
                type = value.get<std::uint8_t>();
            if (!type) return refuse(fmt::format("{} is no type of ICMP that is known", print(value)));
            for (const ServiceRange& range : whole_protocol(protocol))
                if (range.first >> 8 == *type) types.push_back(range);
        });
        ports_ = std::move(types);
        types_ = true;
        only(ipv6 ? SW_IPV6 : SW_IPV4);
        imply(protocol);
    }

    void imply(std::uint8_t protocol) {
        if (protocols_ && *protocols_ != std::vector<std::uint8_t>{protocol})
            return refuse("its protocol and its ports belong to different protocols");
        protocols_ = std::vector<std::uint8_t>{protocol};
    }

    void read_state(const json& right) {
        bool begins = false;
        each(right, [&](const json& value) {
            // `nft -n` prints the kernel's bits.
            static const std::map<unsigned, const char*> bits{
                {1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}};
            std::string state;
            if (value.is_string()) state = value.get<std::string>();
            if (value.is_number_unsigned())
                if (const auto bit = bits.find(value.get<unsigned>()); bit != bits.end()) state = bit->second;
            if (state == "new")
                begins = true;
            else if (state == "invalid" || state == "untracked")
                others_ = true;
            else if (state != "established" && state != "related")
                refuse(fmt::format("the state {} has no fate", print(value)));
        });
        ongoing_ |= !begins;
    }

    void finish() {
        if (protocols_) {
            std::vector<ServiceRange> services;
            for (const std::uint8_t protocol : *protocols_) {
                if (!ports_) {
                    const auto whole = whole_protocol(protocol);
                    services.insert(services.end(), whole.begin(), whole.end());
                    continue;
                }
                if (!has_ports(protocol) && !types_) return refuse("ipset knows no ports of this protocol");
                for (ServiceRange range : *ports_) {
                    range.protocol = protocol;
                    services.push_back(range);
                }
            }
            rule_.match.services = std::move(services);
        } else if (ports_) {
            return refuse("it matches ports without a protocol: name it by `meta l4proto`");
        }
        settle_state(ongoing_, others_, rule_);
    }

    const ImportOptions& options_;
    const NamedSets& sets_;
    std::string table_;
    SourceRule& rule_;
    Ruleset& ruleset_;
    std::optional<std::vector<std::uint8_t>> protocols_;
    bool types_ = false;  // ports_ are types of ICMP
    std::optional<std::vector<ServiceRange>> ports_;
    bool ongoing_ = false;
    bool others_ = false;
    std::string jump_;
};

class DocumentReader {
  public:
    DocumentReader(const json& list, const ImportOptions& options) : list_(list), options_(options) {
        ruleset_.nft = true;
    }

    Result<Ruleset> read() {
        for (const json& item : list_)
            if (const json* set = member(item, "set")) {
                const json* elements = member(*set, "elem");
                sets_[key(*set, "name")] = elements && elements->is_array() ? elements : nullptr;
            }
        for (const json& item : list_)
            if (const json* chain = member(item, "chain"))
                if (const auto done = add_chain(*chain); !done) return tl::unexpected(done.error());
        for (const json& item : list_)
            if (const json* rule = member(item, "rule"))
                if (const auto done = add_rule(*rule); !done) return tl::unexpected(done.error());
        for (const Jump& jump : jumps_) {
            SourceRule& rule = ruleset_.chains[jump.chain].rules[jump.rule];
            const auto to = chains_.find(jump.to);
            if (to == chains_.end())
                rule.refusal = "it jumps to a chain that is not in the file";
            else
                rule.chain = to->second;
        }
        if (!ruleset_.entry4 && !ruleset_.entry6)
            return fail(
                ErrorCode::config,
                fmt::format("no chain with the hook or name {} here: name another by --chain or --table",
                            options_.chain));
        return std::move(ruleset_);
    }

  private:
    struct Jump {
        std::size_t chain = 0;
        std::size_t rule = 0;
        std::string to;
    };

    static std::string key(const json& object, const char* name) {
        return text_of(object, "family") + ' ' + text_of(object, "table") + ' ' + text_of(object, name);
    }

    Result<void> add_chain(const json& chain) {
        const std::string family = text_of(chain, "family");
        if (family != "ip" && family != "ip6" && family != "inet") return {};
        const std::string hook = text_of(chain, "hook");
        const std::string name = key(chain, "name");
        const std::size_t index = ruleset_.chains.size();
        if (!chains_.emplace(name, index).second)
            return fail(ErrorCode::config, fmt::format("the chain {} is there twice", name));
        ruleset_.chains.push_back({name, !hook.empty(), text_of(chain, "policy") == "drop", {}});
        if (hook.empty() || text_of(chain, "type") != "filter") return {};
        // Our own rule, and what is no table of the administrator's choice.
        const std::string table = text_of(chain, "table");
        if (options_.table.empty() ? table == "synward" : table != options_.table) return {};
        if (text_of(chain, "name") != options_.chain && hook != lowered(options_.chain)) return {};
        for (auto* entry :
             {family == "ip6" ? nullptr : &ruleset_.entry4, family == "ip" ? nullptr : &ruleset_.entry6}) {
            if (!entry) continue;
            if (*entry)
                return fail(
                    ErrorCode::config,
                    fmt::format("two chains see the same packets, {} and {}: name one by --chain and --table",
                                ruleset_.chains[**entry].name, name));
            *entry = index;
        }
        return {};
    }

    Result<void> add_rule(const json& item) {
        const std::string family = text_of(item, "family");
        if (family != "ip" && family != "ip6" && family != "inet") return {};
        const auto chain = chains_.find(key(item, "chain"));
        if (chain == chains_.end())
            return fail(ErrorCode::config,
                        fmt::format("a rule of the chain {}, which is not in the file", key(item, "chain")));
        const json* expressions = member(item, "expr");
        if (!expressions || !expressions->is_array())
            return fail(ErrorCode::config, fmt::format("a rule without expressions: {}", print(item)));
        SourceRule first;
        if (const json* handle = member(item, "handle"); handle && handle->is_number_unsigned())
            first.line = handle->get<unsigned>();
        first.text = print(*expressions);
        first.comment = text_of(item, "comment");
        if (family == "ip") first.match.ipv6 = false;
        if (family == "ip6") first.match.ipv4 = false;
        SourceChain& target = ruleset_.chains[chain->second];
        const std::string table = family + ' ' + text_of(item, "table");
        for (const json& each : without_verdict_map(*expressions)) {
            SourceRule rule = first;
            const std::string jump = ExpressionReader(options_, sets_, table, rule, ruleset_).read(each);
            if (!jump.empty())
                jumps_.push_back({chain->second, target.rules.size(), fmt::format("{} {}", table, jump)});
            target.rules.push_back(std::move(rule));
        }
        return {};
    }

    // A rule that ends with a verdict map of its own is one for each element, of which at most one
    // fits a packet. What it counted is not known of each.
    static std::vector<json> without_verdict_map(const json& expressions) {
        const json* map = expressions.empty() ? nullptr : member(expressions.back(), "vmap");
        const json* left = map ? member(*map, "key") : nullptr;
        const json* data = map ? member(*map, "data") : nullptr;
        const json* elements = data ? member(*data, "set") : nullptr;
        if (!left || !elements || !elements->is_array() || elements->empty()) return {expressions};
        json before = json::array();
        for (const json& expression : expressions)
            if (&expression != &expressions.back() && !member(expression, "counter"))
                before.push_back(expression);
        std::vector<json> rules;
        for (const json& element : *elements) {
            if (!element.is_array() || element.size() != 2) return {expressions};
            json rule = before;
            rule.push_back({{"match", {{"op", "=="}, {"left", *left}, {"right", element[0]}}}});
            rule.push_back(element[1]);
            rules.push_back(std::move(rule));
        }
        return rules;
    }

    const json& list_;
    const ImportOptions& options_;
    NamedSets sets_;
    std::map<std::string, std::size_t, std::less<>> chains_;
    std::vector<Jump> jumps_;
    Ruleset ruleset_;
};

}  // namespace

Result<Ruleset> parse_nft_json(std::string_view text, const ImportOptions& options) {
    if (too_deep(text)) return fail(ErrorCode::config, "this JSON is nested too deep to be a ruleset of nft");
    const json root = json::parse(text, nullptr, false);
    const json* list = member(root, "nftables");
    if (root.is_discarded() || !list || !list->is_array())
        return fail(ErrorCode::config, "this is no JSON of `nft -j list ruleset`: no list `nftables` in it");
    return DocumentReader(*list, options).read();
}

}  // namespace synward
