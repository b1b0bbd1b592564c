// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "lib/privilege.h"

namespace synward {

tl::unexpected<Error> fail_errno(int error, std::string_view what) {
    ErrorCode code = ErrorCode::system;
    std::string hint;
    switch (error) {
        case EPERM:
        case EACCES:
            code = ErrorCode::privilege;
            if (const std::string missing = missing_capabilities(); !missing.empty())
                hint = fmt::format("; the process lacks {}: run it as root", missing);
            else if (error == EACCES)
                code = ErrorCode::system;  // root, and all the same
            else
                hint = "; the kernel's lockdown, a security module or a container forbids it even to root";
            break;
        case ENODEV:
        case ENOENT:
            code = ErrorCode::missing;
            break;
        case EBUSY:
        case EEXIST:
            code = ErrorCode::busy;
            break;
        case EOPNOTSUPP:
        case ENOSYS:
            code = ErrorCode::unsupported;
            break;
        default:
            break;
    }
    return fail(code, fmt::format("{}: {}{}", what, std::generic_category().message(error), hint));
}

}  // namespace synward
