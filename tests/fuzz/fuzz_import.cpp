// SPDX-License-Identifier: GPL-2.0-or-later
// Rulesets of iptables and nft: any text is refused with a reason, or becomes sets that
// are proven to decide the same; and those, exported, can be imported again.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/import/convert.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    ImportOptions options;
    options.most_entries = 10'000;
    options.reject_as_drop = size % 2;
    options.skip_log = size % 2;
    const ProofOptions proof{.random_packets = 50, .seed = 1, .most_steps = 200'000};
    const auto conversion = convert_ruleset(text, "t", options, proof);
    if (!conversion) {
        // `system` would be a difference between rules and sets.
        if (conversion.error().code != ErrorCode::config || conversion.error().message.empty()) {
            std::fprintf(stderr, "%s\n", conversion.error().message.c_str());
            std::abort();
        }
        return 0;
    }
    const auto again = read_sets(conversion->files.at(0).text);
    if (!again || again->size() != conversion->plan.sets.size()) std::abort();
    (void)read_sets(text);
    return 0;
}
