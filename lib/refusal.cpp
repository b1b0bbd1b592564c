// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/refusal.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "lib/privilege.h"

namespace synward {
namespace {

constexpr std::size_t longest = 200;

// What stands around the verifier's log, and what follows every failure.
bool tells_nothing(std::string_view line) {
    constexpr std::array<std::string_view, 5> frame{"-- BEGIN PROG LOAD LOG", "-- END PROG LOAD LOG",
                                                    "BPF program load failed",
                                                    ": failed to load: ", "failed to load object"};
    for (const std::string_view part : frame)
        if (line.find(part) != line.npos) return true;
    // The verifier's account of itself.
    constexpr std::array<std::string_view, 2> account{"verification time ", "stack depth "};
    for (const std::string_view start : account)
        if (line.starts_with(start)) return true;
    return line.empty();
}

}  // namespace

std::string last_words(std::string_view log) {
    std::string_view words;
    while (!log.empty()) {
        const std::size_t end = std::min(log.find('\n'), log.size());
        const std::string_view line = log.substr(0, end);
        log.remove_prefix(std::min(end + 1, log.size()));
        // It ends the verifier's log.
        if (line.starts_with("processed ") && line.find(" insns") != line.npos && !words.empty()) break;
        if (!tells_nothing(line)) words = line;
    }
    return std::string(words.substr(0, longest));
}

tl::unexpected<Error> fail_load(int error, std::string_view what, std::string_view log) {
    if (error == ENOMEM || error == EPERM || !missing_capabilities().empty())
        return fail_errno(error, fmt::format("cannot load {}", what));
    utsname names{};
    uname(&names);
    const std::string words = last_words(log);
    return fail(ErrorCode::unsupported,
                fmt::format("the kernel refuses {}: {}{}; it needs Linux 6.1 or newer with BTF, and this is "
                            "Linux {} {} BTF",
                            what, std::generic_category().message(error),
                            words.empty() ? "" : fmt::format(" ({})", words), names.release,
                            access("/sys/kernel/btf/vmlinux", R_OK) ? "without" : "with"));
}

}  // namespace synward
