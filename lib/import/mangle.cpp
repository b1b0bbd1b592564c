// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "lib/classify/mangle_rules.h"
#include "lib/import/output.h"

namespace synward {

std::vector<ImportFile> mangle_files(const Plan& plan) {
    std::vector<ImportFile> files;
    for (const sw_family family : {SW_IPV4, SW_IPV6}) {
        std::vector<BoundSet> bound;
        for (const PlannedSet& set : plan.sets) {
            if (set.family != family) continue;
            BoundSet& one = bound.emplace_back();
            one.name = set.name;
            one.type = set_kind_type(set.kind);
            one.family = family;
            const bool port = set.kind == SetKind::ip_port || set.kind == SetKind::net_port;
            one.dim = port || set.kind == SetKind::net_iface ? 2 : 1;
            one.flags = set.kind == SetKind::net_iface ? 3 : 1;
        }
        if (bound.empty()) continue;
        const bool v4 = family == SW_IPV4;
        files.push_back(
            {v4 ? "mangle4.iptables" : "mangle6.iptables",
             fmt::format("# Made by `synward import`, for a host without synwardd. Load it once, after "
                         "the sets: {} --noflush\n{}",
                         v4 ? "iptables-restore" : "ip6tables-restore", mangle_text(bound, family, {}))});
    }
    return files;
}

}  // namespace synward
