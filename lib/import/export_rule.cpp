// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/export_rule.h"

#include <fmt/format.h>
#include <netinet/in.h>

#include "lib/sets/comment.h"
#include "lib/sets/ipset.h"

namespace synward {
namespace {

constexpr std::size_t longest_interface = 15;  // IFNAMSIZ less its zero

// As ipset writes it.
std::string rule_entry(const ExportedRule& rule) {
    return fmt::format("{},{}{}", rule.source.prefix(rule.family).to_string(),
                       rule.bridge_port ? "physdev:" : "", rule.interface);
}

// The interface as rules name it, with `any` behind those that are the beginning of a name.
Result<std::string> interface_word(const ExportedRule& rule, char any) {
    // No name goes on behind as many characters.
    const bool wildcard = rule.wildcard && rule.interface.size() < longest_interface;
    if (!is_set_word(rule.interface) || (!wildcard && rule.interface.back() == any))
        return fail(ErrorCode::config,
                    fmt::format("{} has an interface that no rule can name", rule_entry(rule)));
    return wildcard ? rule.interface + any : rule.interface;
}

bool has_whole_range(const ServiceRange& service) {
    return service.first == 0 && service.last == 0xffff;
}

std::string iptables_service(const ServiceRange& service) {
    const std::string protocol = protocol_word(service.protocol);
    std::string text = fmt::format(" -p {}", protocol);
    if (is_icmp(service.protocol)) {
        text += service.protocol == IPPROTO_ICMP ? " -m icmp --icmp-type " : " -m icmp6 --icmpv6-type ";
        text += std::to_string(service.first >> 8);
        if (service.last - service.first != 0xff) text += fmt::format("/{}", service.first & 0xff);
    } else if (has_ports(service.protocol) && !has_whole_range(service)) {
        // There is a match `udplite` nowhere: multiport knows it.
        const bool udplite = service.protocol == IPPROTO_UDPLITE;
        text += udplite ? " -m multiport --dports " : fmt::format(" -m {} --dport ", protocol);
        text += std::to_string(service.first);
        if (service.last != service.first) text += fmt::format(":{}", service.last);
    }
    return text;
}

Result<std::string> nft_service(const ServiceRange& service) {
    const std::string protocol = protocol_word(service.protocol);
    if (is_icmp(service.protocol)) {
        if (service.last - service.first != 0xff)
            return fail(ErrorCode::config,
                        fmt::format("an entry has type {} of {} with some codes: export that as iptables",
                                    service.first >> 8, protocol));
        return fmt::format("{} type {} ", protocol, service.first >> 8);
    }
    if (!has_ports(service.protocol) || has_whole_range(service))
        return fmt::format("meta l4proto {} ", protocol);
    if (service.last != service.first)
        return fmt::format("{} dport {}-{} ", protocol, service.first, service.last);
    return fmt::format("{} dport {} ", protocol, service.first);
}

}  // namespace

Result<std::string> iptables_line(const ExportedRule& rule, std::string_view chain,
                                  std::string_view verdict) {
    std::string line = fmt::format("-A {}", chain);
    if (rule.source.length > 0) {
        const Prefix prefix = rule.source.prefix(rule.family);
        line += fmt::format(" -s {}/{}", prefix.address.to_string(), prefix.length);
    }
    if (!rule.interface.empty()) {
        const auto word = interface_word(rule, '+');
        if (!word) return word;
        line += (rule.bridge_port ? " -m physdev --physdev-in " : " -i ") + *word;
    }
    if (rule.service) line += iptables_service(*rule.service);
    if (!rule.comment.empty()) {
        line += " -m comment --comment \"";
        for (const char c : plain_comment(rule.comment, set_comment_most)) {
            if (c == '\\') line += '\\';
            line += c;
        }
        line += '"';
    }
    return line + fmt::format(" -j {}\n", verdict);
}

Result<std::string> nft_line(const ExportedRule& rule, std::string_view verdict) {
    std::string line = "\t\t";
    if (rule.bridge_port)
        return fail(ErrorCode::config,
                    fmt::format("{} is about the port of a bridge, which nft's table inet does not know: "
                                "export that as iptables",
                                rule_entry(rule)));
    if (!rule.interface.empty()) {
        const auto word = interface_word(rule, '*');
        if (!word) return word;
        line += fmt::format("iifname \"{}\" ", *word);
    }
    const bool v4 = rule.family == SW_IPV4;
    if (rule.source.length > 0)
        line += fmt::format("{} saddr {} ", v4 ? "ip" : "ip6", rule.source.prefix(rule.family).to_string());
    else
        line += fmt::format("meta nfproto {} ", v4 ? "ipv4" : "ipv6");
    if (rule.service) {
        const auto service = nft_service(*rule.service);
        if (!service) return service;
        line += *service;
    }
    line += verdict;
    if (!rule.comment.empty())
        line += fmt::format(" comment \"{}\"", plain_comment(rule.comment, nft_comment_most));
    return line + '\n';
}

}  // namespace synward
