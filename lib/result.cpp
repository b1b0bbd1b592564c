// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace synward {

tl::unexpected<Error> fail_errno(int error, std::string_view what) {
    ErrorCode code = ErrorCode::system;
    std::string_view hint;
    switch (error) {
        case EPERM:
        case EACCES:
            code = ErrorCode::privilege;
            hint = "; run it as root (it needs CAP_SYS_ADMIN, CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON)";
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
