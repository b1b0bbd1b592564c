// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/object.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace synward {

Result<std::string> find_object(const std::string& wanted) {
    namespace fs = std::filesystem;
    constexpr std::string_view name = "synward.bpf.o";
    std::error_code error;
    std::vector<fs::path> places;
    const char* environment = std::getenv("SYNWARD_OBJECT");
    if (!wanted.empty()) {
        places.emplace_back(wanted);
    } else if (environment && *environment) {
        places.emplace_back(environment);
    } else {
        const fs::path self = fs::read_symlink("/proc/self/exe", error);
        // daemon/synwardd, tools/synward and tests/unit/... of a build tree
        for (fs::path up = self.parent_path().parent_path(); up.has_relative_path(); up = up.parent_path()) {
            places.push_back(up / "xdp" / name);
            if (places.size() == 3) break;
        }
        places.push_back(fs::path(SYNWARD_OBJECT_DIRECTORY) / name);
    }
    std::vector<std::string> looked;
    for (const fs::path& place : places) {
        if (fs::is_regular_file(place, error)) return place.string();
        looked.push_back(place.string());
    }
    return fail(ErrorCode::missing,
                fmt::format("no BPF object at {}; build it (target synward_bpf) or set SYNWARD_OBJECT",
                            fmt::join(looked, ", ")));
}

}  // namespace synward
