// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/replay_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "lib/decide/trace.h"

namespace synward::cli {

namespace {

// Empty, with errno, if it fails; the stream closes what the descriptor had.
FileStream stream_of(Descriptor file) {
    FileStream stream(file ? fdopen(file.get(), "r") : nullptr, &std::fclose);
    if (stream) file.release();
    return stream;
}

}  // namespace

Result<ReplayInput> ReplayInput::open(const std::string& path) {
    const auto cannot = [&](const char* what) {
        return fail_errno(errno, fmt::format("cannot {} '{}'", what, path));
    };
    ReplayInput input;
    input.path_ = path;
    Descriptor file(path == "-" ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                                : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    struct stat about {};
    if (!file || fstat(file.get(), &about)) return cannot("open");
    if (S_ISREG(about.st_mode)) {
        input.begin_ = lseek(file.get(), 0, SEEK_CUR);
        input.file_ = std::move(file);
    } else {
        input.pipe_ = stream_of(std::move(file));
        if (!input.pipe_) return cannot("open");
    }
    auto stream = input.stream();
    if (!stream) return tl::unexpected(stream.error());
    // No capture begins with this byte; and one byte can be put back into any stream.
    const int first = std::getc(stream->get());
    if (std::ferror(stream->get())) return cannot("read");
    input.trace_ = first == trace_header.front();
    if (input.seekable()) return input;
    if (first != EOF) std::ungetc(first, stream->get());
    input.pipe_ = std::move(*stream);
    return input;
}

Result<FileStream> ReplayInput::stream() {
    if (!seekable()) return std::move(pipe_);
    // It shares its place with those before it, which are not read any more.
    Descriptor again(fcntl(file_.get(), F_DUPFD_CLOEXEC, 0));
    FileStream stream(nullptr, &std::fclose);
    if (again && lseek(again.get(), begin_, SEEK_SET) >= 0) stream = stream_of(std::move(again));
    if (!stream) return fail_errno(errno, fmt::format("cannot read '{}'", path_));
    return stream;
}

}  // namespace synward::cli
