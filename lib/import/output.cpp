// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <iterator>
#include <unordered_map>

#include "lib/classify/fates.h"
#include "lib/sets/comment.h"

namespace synward {
namespace {

bool is_v4(const PlannedSet& set) {
    return set.family == SW_IPV4;
}

std::string service_word(const ServiceRange& service) {
    std::string word = protocol_word(service.protocol) + ':';
    // ipset has no ranges of ICMP: each_command() writes them one by one.
    if (is_icmp(service.protocol))
        return word + fmt::format("{}/{}", service.first >> 8, service.first & 0xff);
    word += std::to_string(service.first);
    if (service.last != service.first) word += fmt::format("-{}", service.last);
    return word;
}

std::string_view type_word(SetKind kind) {
    switch (kind) {
        case SetKind::ip:
            return "hash:ip";
        case SetKind::ip_port:
            return "hash:ip,port";
        case SetKind::net_port:
            return "hash:net,port";
        case SetKind::net_iface:
            return "hash:net,iface";
        default:
            return "hash:net";
    }
}

std::string create_command(const PlannedSet& set, const std::string& name) {
    // Room for what is added later, and a bucket for each entry: few have to be compared.
    const std::size_t elements = set.elements();
    const std::size_t most = std::max<std::size_t>(65'536, std::bit_ceil(elements * 2));
    const std::size_t hash = std::max<std::size_t>(1024, std::bit_ceil(elements));
    return fmt::format("create {} {} family {} hashsize {} maxelem {} timeout 0 counters comment skbinfo",
                       name, type_word(set.kind), is_v4(set) ? "inet" : "inet6", hash, most);
}

std::string add_command(const PlannedSet& set, const PlannedEntry& entry, const std::string& name) {
    std::string element = entry.source.prefix(set.family).to_string();
    if (entry.service) element += ',' + service_word(*entry.service);
    if (!entry.interface.empty()) element += ',' + entry.interface;
    std::string command = fmt::format("add {} {} skbmark {:#x}/0xff", name, element, set.mark(entry));
    if (entry.timeout != 0) command += fmt::format(" timeout {}", entry.timeout);
    if (entry.packets != 0 || entry.bytes != 0)
        command += fmt::format(" packets {} bytes {}", entry.packets, entry.bytes);
    if (!entry.comment.empty()) command += fmt::format(" comment \"{}\"", entry.comment);
    return command;
}

std::string sets_text(const Plan& plan) {
    fmt::memory_buffer out;
    auto at = std::back_inserter(out);
    fmt::format_to(
        at,
        "# Made by `synward import`. Load it with: ipset restore -file sets.ipset\n"
        "# The first set that has an entry for a packet decides; skbmark 0xb accepts, 0xa too and without "
        "cookies, 0xd denies.\n");
    for (const PlannedSet& set : plan.sets)
        (void)each_command(set, set.name, [&](const std::string& command) -> Result<void> {
            fmt::format_to(at, "{}\n", command);
            return {};
        });
    return fmt::to_string(out);
}

std::string rule_text() {
    std::string elements;
    const Fates fates;
    for (const Fate& fate : fates.all()) {
        if (fate.verdict == FateVerdict::go_on) continue;
        if (!elements.empty()) elements += ",\n";
        elements += fmt::format("\t\t\t{:#04x} comment \"fate {}\" : {}", fate.mark, fate.name,
                                fate_verdict_name(fate.verdict));
    }
    return fmt::format(
        "#!/usr/sbin/nft -f\n"
        "# Made by `synward import`: the one rule that acts on the class byte of the conntrack mark. The "
        "map\n"
        "# has these elements afterwards and no others; `synward import --apply` leaves yours.\n\n"
        "add table inet synward\n"
        "add chain inet synward classify\n"
        "delete chain inet synward classify\n"
        "add map inet synward fate {{ type mark : verdict; }}\n"
        "flush map inet synward fate\n\n"
        "table inet synward {{\n"
        "\tmap fate {{\n"
        "\t\ttype mark : verdict\n"
        "\t\telements = {{\n{}\n\t\t}}\n"
        "\t}}\n\n"
        "\tchain classify {{\n"
        "\t\ttype filter hook prerouting priority -140; policy accept;\n"
        "\t\tct mark and 0xff vmap @fate\n"
        "\t}}\n"
        "}}\n",
        elements);
}

std::string config_text(const Plan& plan) {
    std::string names;
    for (const PlannedSet& set : plan.sets) names += fmt::format("    \"{}\",\n", set.name);
    return fmt::format(
        "# Made by `synward import`: put this into /etc/synward/synward.toml. If there is a section "
        "[classify]\n"
        "# already, put these sets into its list, in this order and behind those that shall go first.\n"
        "[classify]\n"
        "sets = [\n{}]\n",
        names);
}

std::optional<SetKind> known_kind(std::string_view type) {
    if (type == "hash:ip") return SetKind::ip;
    if (type == "hash:net") return SetKind::net;
    if (type == "hash:ip,port") return SetKind::ip_port;
    if (type == "hash:net,port") return SetKind::net_port;
    if (type == "hash:net,iface") return SetKind::net_iface;
    return std::nullopt;
}

template <typename Number>
std::optional<Number> decimal(std::string_view word) {
    Number value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (word.empty() || error != std::errc() || end != word.data() + word.size()) return std::nullopt;
    return value;
}

std::optional<ServiceRange> read_service(std::string_view word) {
    const std::size_t colon = word.find(':');
    const auto protocol = parse_protocol(word.substr(0, colon));
    if (!protocol || colon == word.npos) return std::nullopt;
    const std::string_view ports = word.substr(colon + 1);
    if (is_icmp(*protocol)) {
        const std::size_t slash = ports.find('/');
        const auto type = decimal<std::uint16_t>(ports.substr(0, slash));
        const auto code =
            slash == ports.npos ? std::nullopt : decimal<std::uint16_t>(ports.substr(slash + 1));
        if (!type || !code || *type > 255 || *code > 255) return std::nullopt;
        const auto port = static_cast<std::uint16_t>(*type << 8 | *code);
        return ServiceRange{*protocol, port, port};
    }
    const std::size_t dash = ports.find('-');
    const auto first = decimal<std::uint16_t>(ports.substr(0, dash));
    const auto last = dash == ports.npos ? first : decimal<std::uint16_t>(ports.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    return ServiceRange{*protocol, *first, *last};
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

// What follows the element: all of it is known, or it is not understood.
bool read_options(std::string_view text, PlannedEntry& entry) {
    static constexpr std::string_view comment = " comment \"";
    if (const std::size_t at = text.find(comment); at != text.npos) {
        std::string_view quoted = text.substr(at + comment.size());
        if (!quoted.ends_with('"')) return false;
        quoted.remove_suffix(1);
        if (!is_plain_comment(quoted, set_comment_most)) return false;
        entry.comment = quoted;
        text = text.substr(0, at);
    }
    const auto words = words_of(text);
    bool marked = false;
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
        const std::string_view value = words[i + 1];
        if (words[i] == "skbmark") {
            entry.drop = value == "0xd/0xff";
            marked = entry.drop || value == "0xb/0xff" || value == "0xa/0xff";
            if (!marked) return false;
        } else if (words[i] == "timeout") {
            const auto seconds = decimal<std::uint32_t>(value);
            if (!seconds) return false;
            entry.timeout = *seconds;
        } else if (words[i] == "packets" || words[i] == "bytes") {
            const auto count = decimal<std::uint64_t>(value);
            if (!count) return false;
            (words[i] == "packets" ? entry.packets : entry.bytes) = *count;
        } else {
            return false;
        }
    }
    return marked && words.size() % 2 == 0;
}

// What follows "add NAME": an element, then options.
std::optional<PlannedEntry> read_entry(const PlannedSet& set, std::string_view element,
                                       std::string_view options) {
    const std::size_t comma = element.find(',');
    const auto prefix = parse_source(element.substr(0, comma));
    if (!prefix || prefix->address.family != set.family) return std::nullopt;
    PlannedEntry entry;
    entry.source = Block::of(*prefix);
    // The kernel refuses it.
    if (prefix->length == 0 && set.kind != SetKind::net_iface) return std::nullopt;
    const bool port = set.kind == SetKind::ip_port || set.kind == SetKind::net_port;
    if ((comma != element.npos) != (port || set.kind == SetKind::net_iface)) return std::nullopt;
    if (port) {
        entry.service = read_service(element.substr(comma + 1));
        if (!entry.service) return std::nullopt;
    } else if (set.kind == SetKind::net_iface) {
        entry.interface = element.substr(comma + 1);
    }
    if ((set.kind == SetKind::ip || set.kind == SetKind::ip_port) && !prefix->is_host()) return std::nullopt;
    if (!read_options(options, entry)) return std::nullopt;
    return entry;
}

}  // namespace

Result<void> each_command(const PlannedSet& set, const std::string& name,
                          const std::function<Result<void>(const std::string&)>& take) {
    if (auto done = take(create_command(set, name)); !done) return done;
    for (const PlannedEntry& entry : set.entries) {
        if (!entry.service || !is_icmp(entry.service->protocol)) {
            if (auto done = take(add_command(set, entry, name)); !done) return done;
            continue;
        }
        PlannedEntry one = entry;
        for (unsigned port = entry.service->first; port <= entry.service->last; port++) {
            one.service->first = one.service->last = static_cast<std::uint16_t>(port);
            if (auto done = take(add_command(set, one, name)); !done) return done;
        }
    }
    return {};
}

std::vector<ImportFile> plan_files(const Plan& plan) {
    return {{"sets.ipset", sets_text(plan)}, {"rule.nft", rule_text()}, {"classify.toml", config_text(plan)}};
}

Result<std::vector<PlannedSet>> read_sets(std::string_view text) {
    std::vector<PlannedSet> sets;
    std::unordered_map<std::string_view, std::size_t> names;
    unsigned line_number = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        line_number++;
        if (line.empty() || line[0] == '#') continue;
        const auto wrong = [&] {
            return fail(ErrorCode::config,
                        fmt::format("line {} of the sets: {}", line_number, line.substr(0, 200)));
        };
        const auto words = words_of(line);
        if (words.size() >= 5 && words[0] == "create" && words[3] == "family") {
            const auto kind = known_kind(words[2]);
            const bool skbinfo = std::find(words.begin(), words.end(), "skbinfo") != words.end();
            if (!kind || !skbinfo || !names.emplace(words[1], sets.size()).second) return wrong();
            sets.push_back({std::string(words[1]), *kind, words[4] == "inet6" ? SW_IPV6 : SW_IPV4, {}});
        } else if (words.size() >= 3 && words[0] == "add") {
            const auto set = names.find(words[1]);
            if (set == names.end()) return wrong();
            // Of the line itself: a comment has blanks.
            const auto behind = static_cast<std::size_t>(words[2].data() + words[2].size() - line.data());
            auto entry = read_entry(sets[set->second], words[2], line.substr(behind));
            if (!entry) return wrong();
            sets[set->second].entries.push_back(std::move(*entry));
        } else {
            return wrong();
        }
    }
    return sets;
}

}  // namespace synward
