// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/export.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "lib/import/prefix_table.h"
#include "lib/import/ruleset.h"

namespace synward {
namespace {

constexpr unsigned deepest_list = 8;  // lists cannot hold lists; this stops what is no list

// One rule to be: an entry, or several that differ by port alone.
struct Line {
    Block source;
    sw_family family = SW_IPV4;
    std::string interface;
    std::optional<ServiceRange> service;
    std::uint8_t mark = 0;
};

bool by_port(SetKind kind) {
    return kind == SetKind::ip_port || kind == SetKind::net_port;
}

// Neighbouring ports become a range, both halves of the address space one prefix.
void merge_ports(std::vector<Line>& lines) {
    std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
        return std::tie(a.source, a.interface, a.service, a.mark) <
               std::tie(b.source, b.interface, b.service, b.mark);
    });
    std::vector<Line> merged;
    for (Line& line : lines) {
        if (!merged.empty() && line.service && merged.back().service) {
            Line& before = merged.back();
            // Of ICMP, codes of one type.
            const bool same_type =
                !is_icmp(line.service->protocol) || line.service->first >> 8 == before.service->first >> 8;
            if (before.source == line.source && before.mark == line.mark &&
                before.service->protocol == line.service->protocol &&
                before.service->last + 1U == line.service->first && same_type) {
                before.service->last = line.service->last;
                continue;
            }
        }
        merged.push_back(std::move(line));
    }
    lines = std::move(merged);
}

void merge_halves(std::vector<Line>& lines) {
    const auto key = [](const Line& line) {
        return std::tuple(line.family, line.interface, line.service, line.mark);
    };
    std::map<decltype(key(lines[0])), Line*> lower;
    for (Line& line : lines)
        if (line.source == Block{0, 1}) lower[key(line)] = &line;
    std::erase_if(lines, [&](const Line& line) {
        if (line.source != Block{AddressNumber(1) << 127, 1}) return false;
        const auto other = lower.find(key(line));
        if (other == lower.end()) return false;
        other->second->source = Block{};
        return true;
    });
}

std::string_view verdict_word(const Fates& fates, std::uint8_t mark, ExportFormat format) {
    const Fate* fate = fates.find(mark);
    const FateVerdict verdict = fate ? fate->verdict : FateVerdict::go_on;
    const bool nft = format == ExportFormat::nft;
    if (verdict == FateVerdict::accept) return nft ? "accept" : "ACCEPT";
    if (verdict == FateVerdict::drop) return nft ? "drop" : "DROP";
    return nft ? "return" : "RETURN";
}

Result<std::string> iptables_rule(const Line& line, std::string_view verdict) {
    std::string rule = "-A INPUT";
    if (line.source.length > 0) {
        const Prefix prefix = line.source.prefix(line.family);
        rule += fmt::format(" -s {}/{}", prefix.address.to_string(), prefix.length);
    }
    if (!line.interface.empty()) rule += fmt::format(" -i {}", line.interface);
    if (line.service) {
        const ServiceRange& service = *line.service;
        const std::string protocol = protocol_word(service.protocol);
        rule += fmt::format(" -p {}", protocol);
        if (is_icmp(service.protocol)) {
            rule += service.protocol == IPPROTO_ICMP ? " -m icmp --icmp-type " : " -m icmp6 --icmpv6-type ";
            rule += std::to_string(service.first >> 8);
            if (service.last - service.first != 0xff) rule += fmt::format("/{}", service.first & 0xff);
        } else if (has_ports(service.protocol) && (service.first != 0 || service.last != 0xffff)) {
            // There is a match `udplite` nowhere: multiport knows it.
            const bool udplite = service.protocol == IPPROTO_UDPLITE;
            rule += udplite ? " -m multiport --dports " : fmt::format(" -m {} --dport ", protocol);
            rule += std::to_string(service.first);
            if (service.last != service.first) rule += fmt::format(":{}", service.last);
        }
    }
    return rule + fmt::format(" -j {}\n", verdict);
}

Result<std::string> nft_rule(const Line& line, std::string_view verdict) {
    std::string rule = "\t\t";
    const char* ip = line.family == SW_IPV4 ? "ip" : "ip6";
    if (!line.interface.empty()) rule += fmt::format("iifname \"{}\" ", line.interface);
    if (line.source.length > 0)
        rule += fmt::format("{} saddr {} ", ip, line.source.prefix(line.family).to_string());
    else
        rule += fmt::format("meta nfproto {} ", line.family == SW_IPV4 ? "ipv4" : "ipv6");
    if (line.service) {
        const ServiceRange& service = *line.service;
        const std::string protocol = protocol_word(service.protocol);
        if (is_icmp(service.protocol)) {
            if (service.last - service.first != 0xff)
                return fail(ErrorCode::config,
                            fmt::format("an entry has type {} of {} with some codes: export that as iptables",
                                        service.first >> 8, protocol));
            rule += fmt::format("{} type {} ", protocol, service.first >> 8);
        } else if (has_ports(service.protocol) && (service.first != 0 || service.last != 0xffff)) {
            rule += fmt::format("{} dport {}", protocol, service.first);
            if (service.last != service.first) rule += fmt::format("-{}", service.last);
            rule += ' ';
        } else {
            rule += fmt::format("meta l4proto {} ", protocol == "icmpv6" ? "ipv6-icmp" : protocol);
        }
    }
    return rule + fmt::format("{}\n", verdict);
}

class Exporter {
  public:
    Exporter(const Fates& fates, const ExportOptions& options) : fates_(fates), options_(options) {}

    Result<Export> run(const std::vector<ExportedSet>& sets) {
        for (const ExportedSet& set : sets) {
            if (options_.format == ExportFormat::iptables && set.header.family != options_.family) continue;
            const auto lines = lines_of(set);
            if (!lines) return tl::unexpected(lines.error());
            for (const Line& line : *lines) {
                const std::string_view verdict = verdict_word(fates_, line.mark, options_.format);
                const auto rule = options_.format == ExportFormat::nft ? nft_rule(line, verdict)
                                                                       : iptables_rule(line, verdict);
                if (!rule) return tl::unexpected(rule.error());
                rules_ += *rule;
                result_.rules++;
            }
        }
        result_.text = options_.format == ExportFormat::nft ? nft_text() : iptables_text();
        return std::move(result_);
    }

  private:
    void note(std::string text) {
        if (std::find(result_.notes.begin(), result_.notes.end(), text) == result_.notes.end())
            result_.notes.push_back(std::move(text));
    }

    Result<std::vector<Line>> lines_of(const ExportedSet& set) {
        if (set.header.kind == SetKind::ip_mark)
            return fail(ErrorCode::config,
                        fmt::format("{} goes by packet marks, which no rule written here can ask "
                                    "for: leave it out",
                                    set.header.name));
        std::vector<Line> lines;
        std::map<std::tuple<std::string, std::uint8_t, std::uint16_t>, PrefixTable> tables;
        const auto table_of = [&](const ExportedEntry& entry) -> PrefixTable& {
            return tables[{entry.interface, entry.protocol, entry.port}];
        };
        for (const ExportedEntry& entry : set.entries) {
            if (entry.nomatch || entry.mark == 0) continue;
            Line line{Block::of(entry.prefix), entry.prefix.address.family, entry.interface, {}, entry.mark};
            if (by_port(set.header.kind)) line.service = ServiceRange{entry.protocol, entry.port, entry.port};
            table_of(entry).add(line.source, true);
            if (!fates_.find(entry.mark))
                note(fmt::format("{}: nobody defined the fate of mark {:#x}: it became RETURN",
                                 set.header.name, entry.mark));
            lines.push_back(std::move(line));
        }
        // What speaks for nobody hides a wider entry, and then the next set is asked.
        for (const ExportedEntry& entry : set.entries) {
            if (!entry.nomatch && entry.mark != 0) continue;
            if (table_of(entry).covers(Block::of(entry.prefix)))
                return fail(
                    ErrorCode::config,
                    fmt::format("{}: {} is an exception ({}) inside a wider entry: linear rules cannot say "
                                "that",
                                set.header.name, entry.prefix.to_string(),
                                entry.nomatch ? "nomatch" : "no mark"));
            note(fmt::format("{}: entries without a fate were left out", set.header.name));
        }
        merge_ports(lines);
        merge_halves(lines);
        split_codes(lines);
        std::stable_sort(lines.begin(), lines.end(),
                         [](const Line& a, const Line& b) { return a.source.length > b.source.length; });
        return lines;
    }

    // iptables has a type of ICMP with all codes or with one.
    static void split_codes(std::vector<Line>& lines) {
        std::vector<Line> split;
        for (Line& line : lines) {
            const bool whole = !line.service || !is_icmp(line.service->protocol) ||
                               line.service->last - line.service->first == 0xff ||
                               line.service->last == line.service->first;
            if (whole) {
                split.push_back(std::move(line));
                continue;
            }
            const ServiceRange codes = *line.service;
            for (unsigned port = codes.first; port <= codes.last; port++) {
                line.service = ServiceRange{codes.protocol, static_cast<std::uint16_t>(port),
                                            static_cast<std::uint16_t>(port)};
                split.push_back(line);
            }
        }
        lines = std::move(split);
    }

    [[nodiscard]] std::string iptables_text() const {
        return fmt::format(
            "# Made by `synward export` for {}.\n"
            "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n{}COMMIT\n",
            options_.family == SW_IPV4 ? "iptables-restore" : "ip6tables-restore", rules_);
    }

    [[nodiscard]] std::string nft_text() const {
        return fmt::format(
            "#!/usr/sbin/nft -f\n# Made by `synward export`.\n"
            "table inet synward_export {{\n\tchain input {{\n"
            "\t\ttype filter hook input priority 0; policy accept;\n"
            "\t\tct state established,related accept\n{}\t}}\n}}\n",
            rules_);
    }

    const Fates& fates_;
    const ExportOptions& options_;
    std::string rules_;
    Export result_;
};

// As `ipset save` would, with what verdicts need.
Export ipset_text(const std::vector<ExportedSet>& sets) {
    Export result;
    fmt::memory_buffer out;
    auto at = std::back_inserter(out);
    std::set<std::string> written;
    for (const ExportedSet& set : sets) {
        if (!written.insert(set.header.name).second) continue;
        fmt::format_to(at, "create {} {} family {} maxelem {} timeout 0 comment skbinfo\n", set.header.name,
                       set.header.type, set.header.family == SW_IPV4 ? "inet" : "inet6",
                       std::max<std::size_t>({65'536, set.header.most, set.entries.size()}));
        for (const ExportedEntry& entry : set.entries) {
            fmt::format_to(at, "add {} {}", set.header.name, entry.prefix.to_string());
            if (by_port(set.header.kind)) {
                fmt::format_to(at, ",{}:", protocol_word(entry.protocol));
                if (is_icmp(entry.protocol))
                    fmt::format_to(at, "{}/{}", entry.port >> 8, entry.port & 0xff);
                else
                    fmt::format_to(at, "{}", entry.port);
            }
            if (!entry.interface.empty()) fmt::format_to(at, ",{}", entry.interface);
            if (set.header.kind == SetKind::ip_mark) fmt::format_to(at, ",{:#x}", entry.packet_mark);
            if (entry.nomatch) fmt::format_to(at, " nomatch");
            if (entry.mark) fmt::format_to(at, " skbmark {:#x}/0xff", entry.mark);
            fmt::format_to(at, "\n");
            result.rules++;
        }
    }
    result.text = fmt::to_string(out);
    return result;
}

Result<void> read_one(SetReader& reader, const std::string& name, unsigned depth,
                      std::vector<ExportedSet>& sets) {
    ExportedSet set;
    std::vector<std::string> members;
    auto header = reader.read(name, [&](const SetEntry& entry) {
        if (!entry.member.empty()) {
            members.emplace_back(entry.member);
            return;
        }
        const std::uint32_t mark = entry.mask & entry.mark & SW_MARK_CLASS_MASK;
        set.entries.push_back({entry.prefix, entry.port, entry.protocol, static_cast<std::uint8_t>(mark),
                               entry.nomatch, std::string(entry.interface), entry.packet_mark});
    });
    if (!header) return tl::unexpected(header.error());
    if (header->kind == SetKind::other)
        return fail(ErrorCode::config, fmt::format("{} is {}, which carries no fates", name, header->type));
    if (header->kind == SetKind::list) {
        if (depth == 0)
            return fail(ErrorCode::config, fmt::format("the lists in {} are nested too deep", name));
        for (const std::string& member : members)
            if (auto done = read_one(reader, member, depth - 1, sets); !done) return done;
        return {};
    }
    set.header = std::move(*header);
    std::sort(set.entries.begin(), set.entries.end(), [](const ExportedEntry& a, const ExportedEntry& b) {
        return std::tie(a.prefix, a.interface, a.protocol, a.port) <
               std::tie(b.prefix, b.interface, b.protocol, b.port);
    });
    sets.push_back(std::move(set));
    return {};
}

}  // namespace

Result<std::vector<ExportedSet>> read_sets_to_export(SetReader& reader,
                                                     const std::vector<std::string>& names) {
    std::vector<ExportedSet> sets;
    for (const std::string& name : names)
        if (auto done = read_one(reader, name, deepest_list, sets); !done)
            return tl::unexpected(done.error());
    return sets;
}

Result<Export> export_sets(const std::vector<ExportedSet>& sets, const Fates& fates,
                           const ExportOptions& options) {
    if (options.format == ExportFormat::ipset) return ipset_text(sets);
    return Exporter(fates, options).run(sets);
}

}  // namespace synward
