// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/set_commands.h"

#include <fmt/format.h>

#include <set>

#include "lib/import/comment.h"
#include "lib/import/ruleset.h"

namespace synward {
namespace {

std::string create_line(const SetHeader& set) {
    std::string line = fmt::format("create {} {}", set.name, set_kind_type(set.kind));
    if (set.kind == SetKind::list) {
        if (set.most != 0) line += fmt::format(" size {}", set.most);
    } else {
        line += set.family == SW_IPV6 ? " family inet6" : " family inet";
        if (set.hash_size != 0) line += fmt::format(" hashsize {}", set.hash_size);
        if (set.most != 0) line += fmt::format(" maxelem {}", set.most);
        if (set.netmask != 0) line += fmt::format(" netmask {}", set.netmask);
        if (set.kind == SetKind::ip_mark) line += fmt::format(" markmask {:#x}", set.packet_mark_mask);
        if (set.bucket_size != 0) line += fmt::format(" bucketsize {}", set.bucket_size);
    }
    if (set.timeout) line += fmt::format(" timeout {}", set.default_timeout);
    if (set.counters) line += " counters";
    if (set.comment) line += " comment";
    if (set.skbinfo) line += " skbinfo";
    if (set.forceadd) line += " forceadd";
    return line + '\n';
}

std::string element_word(const SetHeader& set, const ExportedEntry& entry) {
    // Of a netmask the set knows itself, and hash:ip of IPv6 takes no prefix.
    const auto address = [&] { return entry.prefix.address.to_string(); };
    const std::string source = entry.prefix.to_string();
    const auto service = [&] {
        const std::string protocol = protocol_word(entry.protocol);
        if (is_icmp(entry.protocol))
            return fmt::format("{}:{}/{}", protocol, entry.port >> 8, entry.port & 0xff);
        return fmt::format("{}:{}", protocol, entry.port);
    };
    switch (set.kind) {
        case SetKind::list:
            return entry.member;
        case SetKind::ip:
            return address();
        case SetKind::ip_mark:
            return fmt::format("{},{:#x}", address(), entry.packet_mark);
        case SetKind::ip_port:
            return fmt::format("{},{}", address(), service());
        case SetKind::net_port:
            return fmt::format("{},{}", source, service());
        case SetKind::net_iface:
            return fmt::format("{},{}{}", source, entry.bridge_port ? "physdev:" : "", entry.interface);
        default:
            return source;
    }
}

std::string add_line(const SetHeader& set, const ExportedEntry& entry) {
    std::string line = fmt::format("add {} {}", set.name, element_word(set, entry));
    // Where it is 0 too: a set may have another default.
    if (set.timeout) line += fmt::format(" timeout {}", entry.timeout);
    if (entry.wildcard) line += " wildcard";
    if (entry.nomatch) line += " nomatch";
    if (set.counters) line += fmt::format(" packets {} bytes {}", entry.packets, entry.bytes);
    if (!entry.comment.empty())
        line += fmt::format(" comment \"{}\"", plain_comment(entry.comment, set_comment_most));
    if (entry.mark != 0 || entry.mask != 0)
        line += fmt::format(" skbmark {:#x}/{:#x}", entry.mark, entry.mask);
    if (entry.priority != 0)
        line += fmt::format(" skbprio {:x}:{:x}", entry.priority >> 16, entry.priority & 0xffff);
    if (entry.queue != 0) line += fmt::format(" skbqueue {}", entry.queue);
    return line + '\n';
}

}  // namespace

Result<Export> export_commands(const std::vector<ExportedSet>& sets) {
    Export result;
    std::set<std::string> written;
    for (const ExportedSet& set : sets) {
        if (!written.insert(set.header.name).second) continue;
        if (set.header.irregular)
            return fail(ErrorCode::config,
                        fmt::format("{} has a bitmask that is no netmask: ipset save {} writes it",
                                    set.header.name, set.header.name));
        result.text += create_line(set.header);
        for (const ExportedEntry& entry : set.entries) {
            result.text += add_line(set.header, entry);
            result.rules++;
        }
    }
    return result;
}

}  // namespace synward
