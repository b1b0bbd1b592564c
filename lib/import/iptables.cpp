// SPDX-License-Identifier: GPL-2.0-or-later
// What `iptables-save` and `ip6tables-save` print; iptables-save(8), iptables-extensions(8).
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "lib/import/block.h"
#include "lib/import/ruleset.h"
#include "lib/printable.h"

namespace synward {
namespace {

// Splits at white space; double quotes keep it, a backslash in them takes a character as it is.
std::optional<std::vector<std::string>> split(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    bool quoted = false;
    bool begun = false;
    for (std::size_t i = 0; i < line.size(); i++) {
        const char c = line[i];
        if (quoted && c == '\\' && i + 1 < line.size()) {
            word += line[++i];
        } else if (c == '"') {
            quoted = !quoted;
            begun = true;
        } else if (!quoted && (c == ' ' || c == '\t' || c == '\r')) {
            if (begun) words.push_back(std::move(word));
            word.clear();
            begun = false;
        } else {
            word += c;
            begun = true;
        }
    }
    if (quoted) return std::nullopt;
    if (begun) words.push_back(std::move(word));
    return words;
}

std::vector<std::string_view> split_list(std::string_view list) {
    std::vector<std::string_view> items;
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t comma = std::min(list.find(',', at), list.size());
        items.push_back(list.substr(at, comma - at));
        at = comma + 1;
    }
    return items;
}

std::optional<std::uint16_t> parse_port(std::string_view word) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
    if (word.empty() || error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return port;
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

// What are no numbers count nothing.
void read_counters(std::string_view packets, std::string_view bytes, SourceRule& rule) {
    std::from_chars(packets.data(), packets.data() + packets.size(), rule.packets);
    std::from_chars(bytes.data(), bytes.data() + bytes.size(), rule.bytes);
}

// One rule's words, from left to right.
class RuleReader {
  public:
    RuleReader(const std::vector<std::string>& words, std::size_t at, const ImportOptions& options,
               SourceRule& rule, Ruleset& ruleset, sw_family family)
        : words_(words), at_(at), options_(options), rule_(rule), ruleset_(ruleset), family_(family) {}

    // The chain that it jumps to, if any.
    std::string read() {
        while (at_ < words_.size() && rule_.refusal.empty()) read_option();
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

    const std::string& value() {
        static const std::string empty;
        if (at_ < words_.size()) return words_[at_++];
        refuse(fmt::format("{} has no value", words_.back()));
        return empty;
    }

    void read_option() {
        bool negated = words_[at_] == "!";
        if (negated) at_++;
        if (at_ >= words_.size()) return refuse("nothing follows `!`");
        const std::string option = words_[at_++];
        if (at_ < words_.size() && words_[at_] == "!" && option != "-j") {
            negated = true;
            at_++;
        }
        if (negated) return refuse(fmt::format("it matches what is NOT {}: a set holds what is", option));
        if (is_one_of(option, {"-s", "--source", "--src"})) return read_sources(value());
        if (option == "--src-range") return read_range(value());
        if (is_one_of(option, {"-p", "--protocol", "--proto"})) return read_protocol(value());
        if (is_one_of(option, {"--dport", "--destination-port", "--dports", "--destination-ports"}))
            return read_ports(value());
        if (is_one_of(option, {"--icmp-type", "--icmpv6-type"})) return read_icmp(value());
        if (is_one_of(option, {"-i", "--in-interface"})) return read_interface(value());
        if (is_one_of(option, {"--state", "--ctstate"})) return read_state(value());
        if (is_one_of(option, {"-m", "--match"})) return read_module(value());
        if (option == "--comment") return read_comment(value());
        if (option == "-c" || option == "--set-counters") {
            const std::string& packets = value();
            return read_counters(packets, value(), rule_);
        }
        if (is_one_of(option, {"-d", "--destination", "--dst"})) {
            const auto whole = parse_source(value());
            if (!whole || whole->length > 0)
                refuse(
                    "it matches the destination address: sets are asked about source and destination port");
            return;
        }
        if (is_one_of(option, {"-g", "--goto"})) return refuse("a goto does not come back as a jump does");
        if (is_one_of(option, {"-j", "--jump"})) return read_target(value());
        refuse(fmt::format("{} is nothing that a set can be asked about", option));
    }

    // Of several, the first.
    void read_comment(const std::string& text) {
        if (rule_.comment.empty()) rule_.comment = text;
    }

    void read_sources(const std::string& list) {
        std::vector<Prefix> sources;
        for (const std::string_view item : split_list(list)) {
            const auto prefix = parse_source(item);
            if (!prefix) return refuse(fmt::format("{} is no address or prefix", item));
            if (prefix->address.family != family_)
                return refuse(fmt::format("{} is not of the ruleset's family", item));
            sources.push_back(*prefix);
        }
        narrow_sources(sources);
    }

    void read_range(const std::string& range) {
        const std::size_t dash = range.find('-');
        const auto first = Address::parse(std::string_view(range).substr(0, dash));
        const auto last =
            dash == range.npos ? first : Address::parse(std::string_view(range).substr(dash + 1));
        if (!first || !last || first->family != family_ || last->family != family_ || *last < *first)
            return refuse(fmt::format("{} is no range of addresses", range));
        narrow_sources(range_prefixes(*first, *last));
    }

    void narrow_sources(const std::vector<Prefix>& sources) {
        if (rule_.match.sources) return refuse("it matches the source address twice");
        rule_.match.sources.emplace();
        for (const Prefix& prefix : sources) rule_.match.sources->push_back({prefix});
    }

    void read_protocol(const std::string& word) {
        if (is_one_of(word, {"all", "0", "ip"})) return;
        protocol_ = parse_protocol(word);
        if (!protocol_) return refuse(fmt::format("the protocol {} is not known: write its number", word));
        if (*protocol_ == (family_ == SW_IPV4 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}))
            refuse(fmt::format("{} is a protocol of the other family", word));
    }

    void read_ports(const std::string& list) {
        if (ports_) return refuse("it matches the destination port twice");
        ports_.emplace();
        for (const std::string_view item : split_list(list)) {
            const std::size_t colon = item.find(':');
            const std::string_view low = item.substr(0, colon);
            const std::string_view high = colon == item.npos ? low : item.substr(colon + 1);
            const auto first = low.empty() && colon != item.npos ? 0 : parse_port(low);
            const auto last = high.empty() && colon != item.npos ? 0xffff : parse_port(high);
            if (!first || !last || *last < *first)
                return refuse(fmt::format("{} is no port or range of ports: write numbers", item));
            ports_->push_back({0, *first, *last});
        }
    }

    void read_icmp(const std::string& word) {
        if (ports_) return refuse("it matches the type of ICMP twice");
        ports_.emplace();
        if (word == "any" || word == "255") return ports_.reset();
        const std::size_t slash = word.find('/');
        const auto type = parse_icmp_type(std::string_view(word).substr(0, slash), family_ == SW_IPV6);
        const auto code = slash == word.npos ? std::nullopt : parse_icmp_type(word.substr(slash + 1), false);
        if (!type || (slash != word.npos && !code))
            return refuse(fmt::format("{} is no type of ICMP: write numbers", word));
        const auto base = static_cast<std::uint16_t>(*type << 8);
        ports_->push_back({0, static_cast<std::uint16_t>(base | code.value_or(0)),
                           static_cast<std::uint16_t>(base | code.value_or(0xff))});
    }

    void read_interface(const std::string& name) {
        if (name.empty() || name == "+") return;
        if (name.back() == '+')
            return refuse(fmt::format("{} stands for many interfaces: write a rule for each", name));
        if (name.size() > 15 || name.find_first_of("\"'\\,: \t") != name.npos)
            return refuse("the name of its interface fits no set");
        rule_.match.interfaces = {name};
    }

    void read_state(const std::string& list) {
        bool begins = false;
        for (const std::string_view state : split_list(list)) {
            if (state == "NEW") begins = true;
            if (is_one_of(state, {"INVALID", "UNTRACKED"})) others_ = true;
            if (!is_one_of(state, {"NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"}))
                return refuse(fmt::format("the state {} has no fate", state));
        }
        ongoing_ |= !begins;
    }

    void read_module(const std::string& name) {
        static constexpr std::string_view known[] = {"tcp",       "udp",     "udplite",   "sctp",    "icmp",
                                                     "icmp6",     "icmpv6",  "multiport", "comment", "state",
                                                     "conntrack", "iprange", "dccp"};
        if (std::find(std::begin(known), std::end(known), name) != std::end(known)) return;
        if (name == "set")
            return refuse("it asks a set already: give that set's entries fates and bind it instead");
        refuse(fmt::format("the match `{}` is nothing that a set can be asked about", name));
    }

    void read_target(const std::string& target) {
        at_ = words_.size();  // what follows are options of the target
        if (target == "ACCEPT") {
            rule_.target = RuleTarget::accept;
        } else if (target == "DROP") {
            rule_.target = RuleTarget::drop;
        } else if (target == "RETURN") {
            rule_.target = RuleTarget::back;
        } else if (target == "REJECT") {
            if (!options_.reject_as_drop)
                return refuse(
                    "the one rule drops in silence, it cannot reject: allow that by --reject-as-drop");
            note("REJECT became DROP: clients wait for a timeout instead of being told");
            rule_.target = RuleTarget::drop;
        } else if (is_one_of(target, {"LOG", "NFLOG", "ULOG"})) {
            if (!options_.skip_log) return refuse("sets do not log: leave such rules out by --skip-log");
            note("rules that log were left out");
        } else if (is_one_of(target, {"MARK", "CONNMARK", "NFQUEUE", "SET", "TARPIT", "DNAT", "SNAT", "AUDIT",
                                      "CT", "NOTRACK", "TCPMSS", "REDIRECT", "MASQUERADE"})) {
            refuse(fmt::format("{} is no verdict: the one rule accepts or drops", target));
        } else {
            rule_.target = RuleTarget::jump;
            jump_ = target;
        }
    }

    void finish() {
        if (protocol_) {
            std::vector<ServiceRange> whole = whole_protocol(*protocol_);
            if (ports_) {
                if (!has_ports(*protocol_) && !is_icmp(*protocol_))
                    return refuse("ipset knows no ports of this protocol");
                for (ServiceRange& range : *ports_) range.protocol = *protocol_;
                if (is_icmp(*protocol_)) keep_beginning(whole);
                whole = *ports_;
            }
            rule_.match.services = std::move(whole);
        } else if (ports_) {
            return refuse("it matches ports without a protocol");
        }
        settle_state(ongoing_, others_, rule_);
    }

    // ICMP errors belong to connections that exist, or to none.
    void keep_beginning(const std::vector<ServiceRange>& whole) {
        std::vector<ServiceRange> kept;
        for (const ServiceRange& range : *ports_)
            for (const ServiceRange& begin : whole)
                if (range.first <= begin.last && begin.first <= range.last)
                    kept.push_back({range.protocol, std::max(range.first, begin.first),
                                    std::min(range.last, begin.last)});
        ports_ = std::move(kept);
    }

    const std::vector<std::string>& words_;
    std::size_t at_;
    const ImportOptions& options_;
    SourceRule& rule_;
    Ruleset& ruleset_;
    sw_family family_;
    std::optional<std::uint8_t> protocol_;
    std::optional<std::vector<ServiceRange>> ports_;
    bool ongoing_ = false;  // no packet that begins a connection
    bool others_ = false;   // INVALID or UNTRACKED among them
    std::string jump_;
};

// One table of one family.
struct Section {
    sw_family family = SW_IPV4;
    std::map<std::string, std::size_t, std::less<>> chains;  // index into Ruleset::chains
    struct Jump {
        std::size_t chain = 0;
        std::size_t rule = 0;
        std::string to;
    };
    std::vector<Jump> jumps;
};

tl::unexpected<Error> wrong(unsigned line, std::string_view why, std::string_view text) {
    return fail(ErrorCode::config,
                fmt::format("line {}: {}: {}", line, printable(why, 500), printable(text, 200)));
}

// The addresses of a table tell its family where no comment does.
std::optional<sw_family> family_of(std::string_view table) {
    for (std::size_t at = table.find(" -s "); at != table.npos; at = table.find(" -s ", at + 1)) {
        const std::string_view rest = table.substr(at + 4);
        const auto prefix = parse_source(rest.substr(0, rest.find_first_of(" \n")));
        if (prefix) return prefix->address.family;
    }
    if (table.find("-p ipv6-icmp") != table.npos || table.find("-p icmpv6") != table.npos) return SW_IPV6;
    return std::nullopt;
}

class FileReader {
  public:
    FileReader(std::string_view text, const ImportOptions& options) : text_(text), options_(options) {}

    Result<Ruleset> read() {
        while (at_ < text_.size())
            if (const auto done = read_line(); !done) return tl::unexpected(done.error());
        if (wanted_ || skipping_)
            return fail(ErrorCode::config, fmt::format("line {}: the table ends without COMMIT", number_));
        if (!ruleset_.entry4 && !ruleset_.entry6)
            return fail(ErrorCode::config,
                        fmt::format("no chain {} in a table {} here: name another by --chain or --table",
                                    options_.chain, table()));
        return std::move(ruleset_);
    }

  private:
    [[nodiscard]] std::string_view table() const {
        return options_.table.empty() ? std::string_view("filter") : options_.table;
    }

    Result<void> read_line() {
        const std::size_t end = std::min(text_.find('\n', at_), text_.size());
        std::string_view line = text_.substr(at_, end - at_);
        at_ = end + 1;
        number_++;
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t'))
            line.remove_suffix(1);
        while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
        if (line.empty()) return {};
        if (line[0] == '#') {
            if (line.find("ip6tables") != line.npos)
                told_ = SW_IPV6;
            else if (line.find("iptables") != line.npos)
                told_ = SW_IPV4;
            return {};
        }
        if (line[0] == '*') return begin(line);
        if (line == "COMMIT") {
            if (!wanted_ && !skipping_) return wrong(number_, "COMMIT outside of a table", line);
            skipping_ = false;
            return wanted_ ? commit() : Result<void>();
        }
        if (skipping_) return {};
        if (!wanted_) return wrong(number_, "this is no line of iptables-save (`*filter` comes first)", line);
        return line[0] == ':' ? declare(line) : add(line);
    }

    Result<void> begin(std::string_view line) {
        if (wanted_ || skipping_) return wrong(number_, "the table before ends without COMMIT", line);
        if (line.substr(1) != table()) {
            skipping_ = true;
            return {};
        }
        wanted_ = true;
        section_ = {};
        const std::string_view rest = text_.substr(std::min(at_, text_.size()));
        section_.family = told_.value_or(
            options_.family.value_or(family_of(rest.substr(0, rest.find("\nCOMMIT"))).value_or(SW_IPV4)));
        return {};
    }

    // ":NAME POLICY [packets:bytes]"
    Result<void> declare(std::string_view line) {
        const auto words = split(line.substr(1));
        if (!words || words->size() < 2) return wrong(number_, "a chain has a name and a policy", line);
        const std::string& policy = (*words)[1];
        if (!is_one_of(policy, {"ACCEPT", "DROP", "-"}))
            return wrong(number_, "a policy is ACCEPT, DROP or -", line);
        if (!section_.chains.emplace((*words)[0], ruleset_.chains.size()).second)
            return wrong(number_, "this chain is there already", line);
        ruleset_.chains.push_back({(*words)[0], policy != "-", policy == "DROP", {}});
        return {};
    }

    Result<void> add(std::string_view line) {
        const auto words = split(line);
        if (!words) return wrong(number_, "a quotation does not end", line);
        // "[packets:bytes]" of `iptables-save -c`
        const std::size_t first = (*words)[0].starts_with('[') ? 1 : 0;
        if (words->size() < first + 2 || !is_one_of((*words)[first], {"-A", "--append"}))
            return wrong(number_, "only rules that are appended (-A CHAIN ...) have an order", line);
        const auto chain = section_.chains.find((*words)[first + 1]);
        if (chain == section_.chains.end()) return wrong(number_, "no such chain was declared before", line);
        SourceChain& target = ruleset_.chains[chain->second];
        SourceRule rule;
        rule.line = number_;
        rule.text = line;
        if (first == 1) {
            const std::string_view counters = std::string_view((*words)[0]).substr(1);
            const std::size_t colon = std::min(counters.find(':'), counters.size());
            read_counters(counters.substr(0, colon), counters.substr(std::min(colon + 1, counters.size())),
                          rule);
        }
        (section_.family == SW_IPV4 ? rule.match.ipv6 : rule.match.ipv4) = false;
        std::string jump = RuleReader(*words, first + 2, options_, rule, ruleset_, section_.family).read();
        if (!jump.empty()) section_.jumps.push_back({chain->second, target.rules.size(), std::move(jump)});
        target.rules.push_back(std::move(rule));
        return {};
    }

    Result<void> commit() {
        wanted_ = false;
        for (const Section::Jump& jump : section_.jumps) {
            SourceRule& rule = ruleset_.chains[jump.chain].rules[jump.rule];
            const auto to = section_.chains.find(jump.to);
            if (to == section_.chains.end())
                rule.refusal = fmt::format("{} is no verdict and no chain of the file", jump.to);
            else
                rule.chain = to->second;
        }
        const auto entry = section_.chains.find(options_.chain);
        if (entry == section_.chains.end()) return {};
        if (!ruleset_.chains[entry->second].base)
            return fail(ErrorCode::config,
                        fmt::format("{} is a chain that others jump to: it has no policy", options_.chain));
        auto& place = section_.family == SW_IPV4 ? ruleset_.entry4 : ruleset_.entry6;
        if (place)
            return wrong(number_,
                         fmt::format("a second table {} of the same family ends here; a comment with "
                                     "ip6tables in it says that what follows is IPv6",
                                     table()),
                         "COMMIT");
        place = entry->second;
        return {};
    }

    std::string_view text_;
    const ImportOptions& options_;
    std::size_t at_ = 0;
    unsigned number_ = 0;
    bool wanted_ = false;
    bool skipping_ = false;
    std::optional<sw_family> told_;
    Section section_;
    Ruleset ruleset_;
};

}  // namespace

Result<Ruleset> parse_iptables(std::string_view text, const ImportOptions& options) {
    return FileReader(text, options).read();
}

}  // namespace synward
