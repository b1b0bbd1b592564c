// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "lib/descriptor.h"

namespace synward {
namespace {

bool same_file(const struct stat& a, const struct stat& b) {
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// The error number, or 0.
int write_whole(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written ? errno : EIO;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == path.npos ? "." : path.substr(0, slash + 1);
}

// A name that nobody can have put there before us: O_EXCL follows no symlink and opens no pipe.
Descriptor open_beside(const std::string& target, mode_t mode, std::string& name) {
    std::random_device random;
    for (int i = 0; i < 100; i++) {
        name = fmt::format("{}.{:08x}.new", target, random());
        Descriptor file(open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        if (file || errno != EEXIST) return file;
    }
    return {};
}

// The error number, or 0.
int fill(int fd, std::string_view text, const std::optional<struct stat>& old) {
    if (old) {
        struct stat now {};
        if (fstat(fd, &now)) return errno;
        if ((now.st_uid != old->st_uid || now.st_gid != old->st_gid) && fchown(fd, old->st_uid, old->st_gid))
            return errno;
        if (fchmod(fd, old->st_mode & 07777)) return errno;
    }
    if (const int error = write_whole(fd, text)) return error;
    return fsync(fd) ? errno : 0;
}

// What a path leads to.
struct Destination {
    std::optional<struct stat> there;  // nothing: a new file
    std::string target;                // of a file; empty for what is none
};

Result<Destination> find_destination(const std::string& path) {
    const auto cannot = [&](int error) { return fail_errno(error, fmt::format("cannot write {}", path)); };
    struct stat about {};
    // Not realpath() alone, which follows symlinks in /tmp that the kernel would refuse to.
    const Descriptor there(open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!there) {
        if (errno != ENOENT) return cannot(errno);
        if (lstat(path.c_str(), &about)) return Destination{.there = {}, .target = path};
        return fail(ErrorCode::usage,
                    fmt::format("{} is a symlink that leads nowhere; name the file itself", path));
    }
    if (fstat(there.get(), &about)) return cannot(errno);
    if (S_ISDIR(about.st_mode)) return cannot(EISDIR);
    struct stat out {};
    if (!S_ISREG(about.st_mode) || (!fstat(STDOUT_FILENO, &out) && same_file(about, out)))
        return Destination{.there = about, .target = {}};
    // What may not be written may not be replaced either.
    if (faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS)) return cannot(errno);
    const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), &std::free);
    struct stat again {};
    if (!real || lstat(real.get(), &again)) return cannot(errno);
    if (!same_file(about, again)) return cannot(ESTALE);
    return Destination{.there = about, .target = real.get()};
}

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      fresh_(std::exchange(other.fresh_, {})),
      text_(std::move(other.text_)) {}

OutputFile::~OutputFile() {
    if (!fresh_.empty()) unlink(fresh_.c_str());
}

Result<OutputFile> OutputFile::write(const std::string& path, std::string_view text) {
    auto place = find_destination(path);
    if (!place) return tl::unexpected(place.error());
    OutputFile made;
    made.path_ = path;
    made.target_ = std::move(place->target);
    if (made.target_.empty()) {
        made.text_ = text;
        return made;
    }
    std::string name;
    // Of nobody else before it has the old one's owner and mode.
    const Descriptor file = open_beside(made.target_, place->there ? 0600 : 0666, name);
    if (!file) return fail_errno(errno, fmt::format("cannot write {}", path));
    made.fresh_ = std::move(name);
    if (const int error = fill(file.get(), text, place->there))
        return fail_errno(error, fmt::format("cannot write {}", path));
    return made;
}

Result<void> OutputFile::publish() {
    const auto cannot = [&](int error) { return fail_errno(error, fmt::format("cannot write {}", path_)); };
    if (target_.empty()) {
        struct stat about {
        }, out{};
        // Opened anew, a file that is our standard output would be written from its beginning.
        const bool ours =
            !stat(path_.c_str(), &about) && !fstat(STDOUT_FILENO, &out) && same_file(about, out);
        if (ours) std::fflush(stdout);
        const Descriptor file(ours ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                                   : open(path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
        if (!file) return cannot(errno);
        if (const int error = write_whole(file.get(), text_)) return cannot(error);
        return {};
    }
    if (rename(fresh_.c_str(), target_.c_str())) return cannot(errno);
    fresh_.clear();
    // Not every file system can; the file has its contents all the same.
    const Descriptor folder(open(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) (void)fsync(folder.get());
    return {};
}

}  // namespace synward
