// SPDX-License-Identifier: GPL-2.0-or-later
// From a ruleset's text to files that are proven to decide the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/import/output.h"
#include "lib/import/verify.h"

namespace synward {

struct Conversion {
    Ruleset ruleset;
    std::size_t rules = 0;  // that decide about new connections, lists and jumps written out
    Plan plan;
    Proof proof;
    std::vector<ImportFile> files;
    std::vector<std::string> notes;  // of the ruleset, and what the sets do beyond it
};

// The sets get names from `name`: 1 to 20 characters that a set may be named by. The proof
// reads the text of the files again. Code `config` for what cannot be expressed or read,
// `system` for a difference that the proof found: a mistake of ours.
[[nodiscard]] Result<Conversion> convert_ruleset(std::string_view text, const std::string& name,
                                                 const ImportOptions& options, const ProofOptions& proof);

}  // namespace synward
