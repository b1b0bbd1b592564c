// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/interface_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>
#include <thread>

namespace synward {
namespace {

// flock(2) waits for ever or not at all.
constexpr std::chrono::milliseconds poll_pause{5};

std::string lock_folder() {
    const char* named = std::getenv("SYNWARD_LOCK_FOLDER");
    return named && *named ? named : "/run/synward";
}

tl::unexpected<Error> cannot(int error, const std::string& what) {
    const std::string text =
        fmt::format("{}, which keeps two writers apart (SYNWARD_LOCK_FOLDER names another folder)", what);
    if (error == EACCES || error == EPERM) return fail_errno(error, text);
    // ENOENT would be "synward is not loaded".
    return fail(ErrorCode::system, fmt::format("{}: {}", text, std::generic_category().message(error)));
}

// Of this thread: the others may be in another one.
Result<ino_t> network_namespace() {
    struct stat status;
    if (stat("/proc/thread-self/ns/net", &status))
        return fail_errno(errno, "cannot tell the network namespace by /proc/thread-self/ns/net");
    return status.st_ino;
}

Result<Descriptor> open_file(const std::string& folder, const std::string& path) {
    // Reading is enough for flock(2), also where the file system is read-only for the daemon.
    const auto attempt = [&] {
        return Descriptor(open(path.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    };
    Descriptor file = attempt();
    if (!file && errno == ENOENT) {
        if (mkdir(folder.c_str(), 0755) && errno != EEXIST)
            return cannot(errno, fmt::format("cannot make the folder {} for the lock", folder));
        file = attempt();
    }
    if (!file) return cannot(errno, fmt::format("cannot open the lock {}", path));
    return file;
}

// systemd takes the folder away with the daemon: a lock on what nobody finds any more is none.
bool still_at(const std::string& path, const Descriptor& file) {
    struct stat named, held;
    return lstat(path.c_str(), &named) == 0 && fstat(file.get(), &held) == 0 && named.st_ino == held.st_ino &&
           named.st_dev == held.st_dev;
}

}  // namespace

Result<InterfaceLock> InterfaceLock::take(const Interface& interface, Part part,
                                          std::chrono::milliseconds patience) {
    const auto space = network_namespace();
    if (!space) return tl::unexpected(space.error());
    const std::string folder = lock_folder();
    // By index: the name may change while it is held.
    const std::string path = fmt::format("{}/{}-{}.{}.lock", folder, *space, interface.index,
                                         part == Part::policy ? "policy" : "sources");
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
        auto file = open_file(folder, path);
        if (!file) return tl::unexpected(file.error());
        if (flock(file->get(), LOCK_EX | LOCK_NB) == 0) {
            if (still_at(path, *file)) return InterfaceLock(std::move(*file));
        } else if (errno != EWOULDBLOCK && errno != EINTR) {
            return cannot(errno, fmt::format("cannot lock {}", path));
        }
        if (std::chrono::steady_clock::now() >= deadline)
            return fail(
                ErrorCode::busy,
                fmt::format("another process has been changing {} for {} s: it holds {} (`fuser -v` names "
                            "it); try again when it is done",
                            interface.name, static_cast<double>(patience.count()) / 1000, path));
        std::this_thread::sleep_for(poll_pause);
    }
}

}  // namespace synward
