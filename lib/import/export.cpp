// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/export.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "lib/import/export_rule.h"
#include "lib/import/prefix_table.h"
#include "lib/import/set_commands.h"

namespace synward {
namespace {

constexpr unsigned deepest_list = 8;  // lists cannot hold lists; this stops what is no list

bool by_port(SetKind kind) {
    return kind == SetKind::ip_port || kind == SetKind::net_port;
}

// Who a rule is for, but for its source.
auto whom(const ExportedRule& rule) {
    return std::tie(rule.family, rule.interface, rule.wildcard, rule.bridge_port, rule.service);
}

// Neighbouring ports become a range.
void merge_ports(std::vector<ExportedRule>& rules) {
    std::sort(rules.begin(), rules.end(), [](const ExportedRule& a, const ExportedRule& b) {
        return std::tie(a.source, a.interface, a.wildcard, a.bridge_port, a.service) <
               std::tie(b.source, b.interface, b.wildcard, b.bridge_port, b.service);
    });
    std::vector<ExportedRule> merged;
    for (ExportedRule& rule : rules) {
        if (!merged.empty() && rule.service && merged.back().service) {
            ExportedRule& before = merged.back();
            // Of ICMP, codes of one type.
            const bool same_type =
                !is_icmp(rule.service->protocol) || rule.service->first >> 8 == before.service->first >> 8;
            if (before.source == rule.source && before.fate == rule.fate &&
                before.is_exception == rule.is_exception && before.comment == rule.comment &&
                before.service->protocol == rule.service->protocol &&
                before.service->last + 1U == rule.service->first && same_type) {
                before.service->last = rule.service->last;
                continue;
            }
        }
        merged.push_back(std::move(rule));
    }
    rules = std::move(merged);
}

// Both halves of the address space become one prefix, which only hash:net,iface has itself.
void merge_halves(std::vector<ExportedRule>& rules) {
    const auto key = [](const ExportedRule& rule) {
        return std::tuple_cat(whom(rule), std::tie(rule.fate, rule.is_exception, rule.comment));
    };
    std::set<decltype(whom(rules[0]))> whole;
    std::map<decltype(key(rules[0])), ExportedRule*> lower;
    for (ExportedRule& rule : rules) {
        if (rule.source == Block{}) whole.insert(whom(rule));
        if (rule.source == Block{0, 1}) lower[key(rule)] = &rule;
    }
    std::vector<bool> joined(rules.size());
    for (std::size_t i = 0; i < rules.size(); i++) {
        if (rules[i].source != Block{AddressNumber(1) << 127, 1} || whole.contains(whom(rules[i]))) continue;
        const auto other = lower.find(key(rules[i]));
        if (other == lower.end()) continue;
        other->second->source = Block{};
        joined[i] = true;
    }
    std::vector<ExportedRule> left;
    for (std::size_t i = 0; i < rules.size(); i++)
        if (!joined[i]) left.push_back(std::move(rules[i]));
    rules = std::move(left);
}

// iptables has a type of ICMP with all codes or with one.
void split_codes(std::vector<ExportedRule>& rules) {
    std::vector<ExportedRule> split;
    for (ExportedRule& rule : rules) {
        const bool whole = !rule.service || !is_icmp(rule.service->protocol) ||
                           rule.service->last - rule.service->first == 0xff ||
                           rule.service->last == rule.service->first;
        if (whole) {
            split.push_back(std::move(rule));
            continue;
        }
        const ServiceRange codes = *rule.service;
        for (unsigned port = codes.first; port <= codes.last; port++) {
            rule.service = ServiceRange{codes.protocol, static_cast<std::uint16_t>(port),
                                        static_cast<std::uint16_t>(port)};
            split.push_back(rule);
        }
    }
    rules = std::move(split);
}

// The first that matches decides: the longest prefix, and of one prefix a name before what is
// the beginning of names (lib/sets/contents.h).
void put_in_order(std::vector<ExportedRule>& rules) {
    std::stable_sort(rules.begin(), rules.end(), [](const ExportedRule& a, const ExportedRule& b) {
        if (a.source.length != b.source.length) return a.source.length > b.source.length;
        if (a.bridge_port != b.bridge_port) return b.bridge_port;
        if (a.wildcard != b.wildcard) return b.wildcard;
        return a.wildcard && a.interface.size() > b.interface.size();
    });
}

// Is every interface that `narrow` is about one that `wide` is about?
bool is_within(const ExportedEntry& narrow, const ExportedEntry& wide) {
    if (narrow.bridge_port != wide.bridge_port) return false;
    if (wide.wildcard) return narrow.interface.starts_with(wide.interface);
    return !narrow.wildcard && narrow.interface == wide.interface;
}

std::string entry_text(const ExportedEntry& entry) {
    std::string text = entry.prefix.to_string();
    if (!entry.interface.empty())
        text += fmt::format(",{}{}{}", entry.bridge_port ? "physdev:" : "", entry.interface,
                            entry.wildcard ? " wildcard" : "");
    return text;
}

tl::unexpected<Error> not_linear(const ExportedSet& set, const ExportedEntry& entry, std::string_view why) {
    return fail(ErrorCode::config, fmt::format("{}: {} {}: linear rules cannot say that", set.header.name,
                                               entry_text(entry), why));
}

struct Exceptions {
    std::vector<ExportedEntry> entries;
    std::size_t read = 0;  // of the set; the others follow from those that it has
};

// Entries that say nothing inside wider ones, which they hide: the next set is asked then.
Exceptions exceptions_by_prefix(const ExportedSet& set) {
    std::map<std::pair<std::uint8_t, std::uint16_t>, PrefixTable<bool>> tables;
    for (const ExportedEntry& entry : set.entries)
        if (entry.fate()) tables[{entry.protocol, entry.port}].add(Block::of(entry.prefix), true);
    Exceptions found;
    for (const ExportedEntry& entry : set.entries)
        if (!entry.fate() && tables[{entry.protocol, entry.port}].covers(Block::of(entry.prefix)))
            found.entries.push_back(entry);
    found.read = found.entries.size();
    return found;
}

// Likewise by interface, where the search ends at the longest network that is there, be it
// for other interfaces: so a network hides wider ones from interfaces that it has no entry for.
Exceptions exceptions_by_interface(const ExportedSet& set) {
    std::map<Block, std::vector<const ExportedEntry*>> networks;
    std::set<unsigned> lengths;
    for (const ExportedEntry& entry : set.entries) {
        networks[Block::of(entry.prefix)].push_back(&entry);
        lengths.insert(entry.prefix.length);
    }
    Exceptions found;
    for (const auto& [network, here] : networks) {
        std::set<const ExportedEntry*> silent;
        std::set<std::tuple<std::string, bool, bool>> hidden;
        for (const unsigned length : lengths) {
            if (length > network.length) break;
            const auto around = networks.find(network.widened(length));
            if (around == networks.end()) continue;
            for (const ExportedEntry* wide : around->second) {
                if (!wide->fate()) continue;
                bool has_own = length == network.length;
                for (const ExportedEntry* entry : here) {
                    has_own |= is_within(*wide, *entry);
                    if (!entry->fate() && (is_within(*entry, *wide) || is_within(*wide, *entry)))
                        silent.insert(entry);
                }
                if (!has_own) hidden.emplace(wide->interface, wide->wildcard, wide->bridge_port);
            }
        }
        found.read += silent.size();
        for (const ExportedEntry* entry : silent) found.entries.push_back(*entry);
        for (const auto& [interface, wildcard, bridge_port] : hidden) {
            ExportedEntry& entry = found.entries.emplace_back();
            entry.prefix = here[0]->prefix;
            entry.interface = interface;
            entry.wildcard = wildcard;
            entry.bridge_port = bridge_port;
        }
    }
    return found;
}

// Does a set behind this one say anything of what these are about?
bool is_asked_behind(const std::vector<ExportedEntry>& exceptions, const std::vector<ExportedSet>& sets,
                     std::size_t index) {
    PrefixTable<bool> behind;
    if (!exceptions.empty())
        for (std::size_t i = index + 1; i < sets.size(); i++)
            if (sets[i].header.kind != SetKind::list && sets[i].header.family == sets[index].header.family)
                for (const ExportedEntry& entry : sets[i].entries)
                    if (entry.fate()) behind.add(Block::of(entry.prefix), true);
    return std::any_of(exceptions.begin(), exceptions.end(), [&](const ExportedEntry& exception) {
        return behind.meets(Block::of(exception.prefix));
    });
}

// An entry without a mark ends the look-up in the list that its set is a member of.
Result<void> check_list(const std::vector<ExportedSet>& sets, std::size_t index) {
    const ExportedSet& set = sets[index];
    if (set.list.empty()) return {};
    PrefixTable<bool> behind;
    for (std::size_t i = index + 1; i < sets.size() && sets[i].list == set.list; i++)
        if (sets[i].header.family == set.header.family)
            for (const ExportedEntry& entry : sets[i].entries)
                if (entry.fate()) behind.add(Block::of(entry.prefix), true);
    for (const ExportedEntry& entry : set.entries)
        if (!entry.nomatch && !entry.fate() && behind.meets(Block::of(entry.prefix)))
            return not_linear(
                set, entry,
                fmt::format("has no mark, and ends the look-up in the list {} before its other members",
                            set.list));
    return {};
}

std::string_view verdict_word(const Fates& fates, const ExportedRule& rule, bool own_chain,
                              ExportFormat format) {
    const bool nft = format == ExportFormat::nft;
    const Fate* fate = fates.find(rule.fate);
    const FateVerdict verdict = fate ? fate->verdict : FateVerdict::go_on;
    // To return from a chain of the set's own is to ask the next set; the policy is to accept.
    if (!rule.is_exception &&
        (verdict == FateVerdict::accept || (verdict == FateVerdict::go_on && own_chain)))
        return nft ? "accept" : "ACCEPT";
    if (!rule.is_exception && verdict == FateVerdict::drop) return nft ? "drop" : "DROP";
    return nft ? "return" : "RETURN";
}

class Exporter {
  public:
    Exporter(const Fates& fates, const ExportOptions& options) : fates_(fates), options_(options) {}

    Result<Export> run(const std::vector<ExportedSet>& sets) {
        for (std::size_t i = 0; i < sets.size(); i++) {
            const ExportedSet& set = sets[i];
            if (set.header.kind == SetKind::list) {
                const auto expiring =
                    std::count_if(set.entries.begin(), set.entries.end(),
                                  [](const ExportedEntry& entry) { return entry.timeout != 0; });
                if (expiring)
                    note(set, fmt::format("{} members that expire became rules that stay", expiring));
                continue;
            }
            if (options_.format == ExportFormat::iptables && set.header.family != options_.family) {
                note(set, options_.family == SW_IPV4
                              ? "left out, since it is of IPv6: --ipv6 writes what is"
                              : "left out, since it is of IPv4: without --ipv6, what is of IPv4 is written");
                continue;
            }
            if (auto done = write(sets, i); !done) return tl::unexpected(std::move(done.error()));
        }
        result_.text = options_.format == ExportFormat::nft ? nft_text() : iptables_text();
        return std::move(result_);
    }

  private:
    void note(const ExportedSet& set, std::string_view what) {
        std::string text = fmt::format("{}: {}", set.header.name, what);
        if (std::find(result_.notes.begin(), result_.notes.end(), text) == result_.notes.end())
            result_.notes.push_back(std::move(text));
    }

    Result<void> write(const std::vector<ExportedSet>& sets, std::size_t index) {
        const ExportedSet& set = sets[index];
        if (set.header.kind == SetKind::ip_mark)
            return fail(ErrorCode::config,
                        fmt::format("{} goes by packet marks, which no rule written here can ask "
                                    "for: leave it out",
                                    set.header.name));
        if (set.header.bitmask)
            return fail(ErrorCode::config,
                        fmt::format("{} has the bitmask {}, which is no netmask: no rule written here can "
                                    "ask by it, so leave it out",
                                    set.header.name, set.header.bitmask->to_string()));
        if (auto fine = check_list(sets, index); !fine) return fine;
        const Exceptions exceptions =
            set.header.kind == SetKind::net_iface ? exceptions_by_interface(set) : exceptions_by_prefix(set);
        const bool own_chain = is_asked_behind(exceptions.entries, sets, index);
        tell_what_is_lost(set, exceptions.read);
        std::vector<ExportedRule> rules;
        for (const ExportedEntry& entry : set.entries)
            if (const auto fate = entry.fate()) rules.push_back(rule_of(set, entry, *fate));
        for (const ExportedEntry& entry : exceptions.entries) {
            rules.push_back(rule_of(set, entry, 0));
            rules.back().is_exception = true;
        }
        merge_ports(rules);
        merge_halves(rules);
        split_codes(rules);
        put_in_order(rules);
        const bool nft = options_.format == ExportFormat::nft;
        const std::string chain = own_chain ? fmt::format("synward-set-{}", ++chains_) : "INPUT";
        std::string lines;
        for (const ExportedRule& rule : rules) {
            const std::string_view verdict = verdict_word(fates_, rule, own_chain, options_.format);
            const auto line = nft ? nft_line(rule, verdict) : iptables_line(rule, chain, verdict);
            if (!line)
                return fail(line.error().code, fmt::format("{}: {}", set.header.name, line.error().message));
            lines += *line;
            result_.rules++;
        }
        if (!own_chain) {
            lines_ += lines;
            return {};
        }
        declared_ +=
            nft ? fmt::format("\tchain {} {{\n{}\t}}\n", chain, lines) : fmt::format(":{} - [0:0]\n", chain);
        if (nft)
            lines_ += fmt::format("\t\tjump {}\n", chain);
        else
            lines_ += fmt::format("{}-A INPUT -j {}\n", lines, chain);
        result_.rules++;
        return {};
    }

    void tell_what_is_lost(const ExportedSet& set, std::size_t exceptions) {
        std::size_t silent = 0;
        std::size_t expiring = 0;
        std::size_t bridge_ports = 0;
        for (const ExportedEntry& entry : set.entries) {
            const auto fate = entry.fate();
            if (!fate) {
                silent++;
                continue;
            }
            if (entry.timeout != 0) expiring++;
            if (entry.bridge_port) bridge_ports++;
            if (*fate != 0 && !fates_.find(*fate))
                note(set, fmt::format("nobody defined the fate of mark {:#x}: it became RETURN", *fate));
        }
        if (silent > exceptions)
            note(set, fmt::format("{} entries that say nothing were left out", silent - exceptions));
        if (expiring) note(set, fmt::format("{} entries that expire became rules that stay", expiring));
        // xt_set never asks a set about them.
        if (bridge_ports)
            note(set, fmt::format("{} entries by the port of a bridge, which a look-up by rules or the "
                                  "module never finds, became rules that match",
                                  bridge_ports));
    }

    static ExportedRule rule_of(const ExportedSet& set, const ExportedEntry& entry, std::uint8_t fate) {
        ExportedRule rule;
        rule.source = Block::of(entry.prefix);
        rule.family = entry.prefix.address.family;
        rule.interface = entry.interface;
        rule.wildcard = entry.wildcard;
        rule.bridge_port = entry.bridge_port;
        if (by_port(set.header.kind)) rule.service = ServiceRange{entry.protocol, entry.port, entry.port};
        rule.fate = fate;
        rule.comment = entry.comment;
        return rule;
    }

    [[nodiscard]] std::string iptables_text() const {
        return fmt::format(
            "# Made by `synward export` for {}.\n"
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{}"
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{}COMMIT\n",
            options_.family == SW_IPV4 ? "iptables-restore" : "ip6tables-restore", declared_, lines_);
    }

    [[nodiscard]] std::string nft_text() const {
        return fmt::format(
            "#!/usr/sbin/nft -f\n# Made by `synward export`.\n"
            "table inet synward_export {{\n{}\tchain input {{\n"
            "\t\ttype filter hook input priority 0; policy accept;\n"
            "\t\tct state established,related accept\n{}\t}}\n}}\n",
            declared_, lines_);
    }

    const Fates& fates_;
    const ExportOptions& options_;
    std::string declared_;  // chains of sets whose exceptions another set is asked about
    std::string lines_;
    std::size_t chains_ = 0;
    Export result_;
};

ExportedEntry exported(const SetEntry& entry) {
    return {.prefix = entry.prefix,
            .port = entry.port,
            .protocol = entry.protocol,
            .nomatch = entry.nomatch,
            .wildcard = entry.wildcard,
            .bridge_port = entry.bridge_port,
            .interface = std::string(entry.interface),
            .member = std::string(entry.member),
            .packet_mark = entry.packet_mark,
            .mark = entry.mark,
            .mask = entry.mask,
            .priority = entry.priority,
            .queue = entry.queue,
            .timeout = entry.timeout,
            .comment = std::string(entry.text),
            .packets = entry.packets,
            .bytes = entry.bytes};
}

// Names before what is the beginning of names: the kernel takes a name for the same entry as a
// wildcard that is there already and fits it.
std::size_t narrowness(const ExportedEntry& entry) {
    return entry.wildcard ? IFNAMSIZ - std::min<std::size_t>(entry.interface.size(), IFNAMSIZ - 1) : 0;
}

Result<void> read_one(SetReader& reader, const std::string& name, const std::string& list, unsigned depth,
                      std::vector<ExportedSet>& sets) {
    ExportedSet set;
    set.list = list;
    auto header = reader.read(name, [&](const SetEntry& entry) { set.entries.push_back(exported(entry)); });
    if (!header) return tl::unexpected(header.error());
    if (header->kind == SetKind::other)
        return fail(ErrorCode::config, fmt::format("{} is {}, which carries no fates", name, header->type));
    set.header = std::move(*header);
    if (set.header.kind == SetKind::list) {
        if (depth == 0)
            return fail(ErrorCode::config, fmt::format("the lists in {} are nested too deep", name));
        for (const ExportedEntry& entry : set.entries)
            if (auto done = read_one(reader, entry.member, name, depth - 1, sets); !done) return done;
    } else {
        std::sort(set.entries.begin(), set.entries.end(), [](const ExportedEntry& a, const ExportedEntry& b) {
            return std::make_tuple(std::cref(a.prefix), narrowness(a), std::cref(a.interface), a.protocol,
                                   a.port) < std::make_tuple(std::cref(b.prefix), narrowness(b),
                                                             std::cref(b.interface), b.protocol, b.port);
        });
    }
    sets.push_back(std::move(set));
    return {};
}

}  // namespace

std::optional<std::uint8_t> ExportedEntry::fate() const {
    if (nomatch || !(mask & SW_MARK_CLASS_MASK)) return std::nullopt;
    return static_cast<std::uint8_t>(mark & mask & SW_MARK_CLASS_MASK);
}

SetEntry ExportedEntry::view() const {
    return {.prefix = prefix,
            .port = port,
            .protocol = protocol,
            .nomatch = nomatch,
            .interface = interface,
            .wildcard = wildcard,
            .bridge_port = bridge_port,
            .member = member,
            .packet_mark = packet_mark,
            .mark = mark,
            .mask = mask,
            .timeout = timeout,
            .text = comment,
            .packets = packets,
            .bytes = bytes,
            .priority = priority,
            .queue = queue};
}

Result<std::vector<ExportedSet>> read_sets_to_export(SetReader& reader,
                                                     const std::vector<std::string>& names) {
    std::vector<ExportedSet> sets;
    for (const std::string& name : names)
        if (auto done = read_one(reader, name, {}, deepest_list, sets); !done)
            return tl::unexpected(done.error());
    return sets;
}

Result<Export> export_sets(const std::vector<ExportedSet>& sets, const Fates& fates,
                           const ExportOptions& options) {
    if (options.format == ExportFormat::ipset) return export_commands(sets);
    return Exporter(fates, options).run(sets);
}

}  // namespace synward
