// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/import/set_commands.h"

#include <fmt/format.h>

#include <set>

#include "lib/sets/entry_words.h"

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
        if (set.bitmask) line += " bitmask " + set.bitmask->to_string();
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

}  // namespace

Result<Export> export_commands(const std::vector<ExportedSet>& sets) {
    Export result;
    std::set<std::string> written;
    for (const ExportedSet& set : sets) {
        if (!written.insert(set.header.name).second) continue;
        result.text += create_line(set.header);
        for (const ExportedEntry& entry : set.entries) {
            result.text += save_line(set.header, entry.view()) + '\n';
            result.rules++;
        }
    }
    return result;
}

}  // namespace synward
