// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/findings.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/cli/output.h"

namespace synward::cli {

void print_findings(const nlohmann::json& findings) {
    for (const auto& finding : findings) {
        const std::string severity = finding.value("severity", "");
        const Colour colour = severity == "error"     ? Colour::red
                              : severity == "warning" ? Colour::yellow
                                                      : Colour::dim;
        fmt::print("{}: {}: {}\n", paint(severity, colour), finding.value("subject", ""),
                   finding.value("text", ""));
        if (const std::string fix = finding.value("fix", ""); !fix.empty()) fmt::print("  to do: {}\n", fix);
    }
}

Result<void> judge(const std::vector<Finding>& findings) {
    const auto errors = std::count_if(findings.begin(), findings.end(),
                                      [](const Finding& f) { return f.severity == Severity::error; });
    if (!errors) return {};
    return fail(ErrorCode::system,
                fmt::format("{} of the findings {} an error; connections would fail or stay unprotected",
                            errors, errors == 1 ? "is" : "are"));
}

}  // namespace synward::cli
