// SPDX-License-Identifier: GPL-2.0-or-later
// The readers of nft's JSON and of iptables-save: other programs' output.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/preflight.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const synward::Config config = [] {
        synward::Config c;
        c.services.push_back({.name = "web", .ports = {80, 443}});
        return c;
    }();
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const auto& findings : {synward::check_nft(config, text), synward::check_iptables(config, text)})
        for (const synward::Finding& finding : findings)
            if (finding.subject.empty() || finding.text.empty() || finding.fix.empty()) std::abort();
    return 0;
}
