// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/recorder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string_view>
#include <system_error>
#include <utility>

#include "lib/clock.h"
#include "lib/decide/trace_replay.h"

namespace synward {
namespace {

constexpr int pause_ms = 50;  // a queue then holds 80,000 events a second

enum class There { nothing, no_event, events };

// Lines that begin with # say no more than when it was made.
bool has_events(int file) {
    std::array<char, 4096> part;
    bool begins = true;  // a line
    for (off_t at = trace_header.size() + 1;;) {
        const ssize_t got = pread(file, part.data(), part.size(), at);
        // What cannot be read may be worth keeping.
        if (got <= 0) return got < 0;
        for (const char c : std::string_view(part.data(), static_cast<std::size_t>(got))) {
            if (begins && c != '#' && c != '\n') return true;
            begins = c == '\n';
        }
        at += got;
    }
}

// Anything but a recording, which the daemon may move away, is an error.
Result<There> what_is_there(const std::string& path) {
    // A pipe would keep us waiting for its reader.
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file && errno == ENOENT) return There::nothing;
    struct stat about {};
    std::array<char, trace_header.size()> begin{};
    const bool regular = file && !fstat(file.get(), &about) && S_ISREG(about.st_mode);
    const ssize_t got = regular ? read(file.get(), begin.data(), begin.size()) : -1;
    if (got == 0 || (got == static_cast<ssize_t>(begin.size()) &&
                     std::string_view(begin.data(), begin.size()) == trace_header))
        return has_events(file.get()) ? There::events : There::no_event;
    return fail(ErrorCode::config, fmt::format("'{}' is there and no recording, so that it stays as it is; "
                                               "name another file as decide.record",
                                               path));
}

Result<Descriptor> make_file(const std::string& path) {
    const std::string old = path + ".old";
    if (const auto there = what_is_there(old); !there) return tl::unexpected(there.error());
    const auto there = what_is_there(path);
    if (!there) return tl::unexpected(there.error());
    // One without events, as a full disk leaves it, is not worth the one before it.
    if (*there == There::events && rename(path.c_str(), old.c_str()))
        return fail_errno(errno, fmt::format("cannot rename '{}'", path));
    if (*there == There::no_event && unlink(path.c_str()))
        return fail_errno(errno, fmt::format("cannot remove '{}'", path));
    // Addresses are personal data.
    Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) return fail_errno(errno, fmt::format("cannot make '{}'", path));
    return file;
}

// Of whole lines, behind the one that begins a trace.
std::uint64_t count_events(std::string_view lines) {
    std::uint64_t events = 0;
    while (!lines.empty()) {
        events += lines.front() != '#' && !lines.starts_with(trace_header);
        lines.remove_prefix(std::min(lines.size(), lines.find('\n') + 1));
    }
    return events;
}

}  // namespace

Recorder::Recorder(RecordConfig config, Descriptor file, Descriptor stop)
    : config_(std::move(config)), file_(std::move(file)), stop_(std::move(stop)) {
    buffer_ = fmt::format("{}\n# {:%Y-%m-%dT%H:%M:%SZ} is {}\n", trace_header,
                          fmt::gmtime(std::time(nullptr)), monotonic_now() / 1000);
    bytes_.store(buffer_.size(), std::memory_order_relaxed);
}

Result<std::unique_ptr<Recorder>> Recorder::start(const RecordConfig& config) {
    auto file = make_file(config.file);
    if (!file) return tl::unexpected(file.error());
    Descriptor stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop) return fail_errno(errno, "cannot make an eventfd");
    std::unique_ptr<Recorder> made(new Recorder(config, std::move(*file), std::move(stop)));
    try {
        made->thread_ = std::thread([self = made.get()] { self->run(); });
    } catch (const std::system_error& error) {
        return fail_errno(error.code().value(), "cannot start the thread that records");
    }
    return made;
}

Recorder::~Recorder() {
    {
        const std::lock_guard lock(mutex_);
        for (const Source& source : sources_) source.queue->on_.store(false, std::memory_order_relaxed);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(stop_.get(), &one, sizeof one);
    if (thread_.joinable()) thread_.join();
}

void Recorder::add(std::shared_ptr<TraceQueue> queue) {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    // Pushed while the recorder before us ended.
    TraceEntry entry;
    while (queue->entries_.pop(entry)) {
    }
    queue->on_.store(true, std::memory_order_relaxed);
    const std::uint64_t lost = queue->entries_.lost();
    sources_.push_back({.queue = std::move(queue), .chain = {}, .lost = lost});
}

Recorder::Status Recorder::status() const {
    const std::lock_guard lock(mutex_);
    return {.file = config_.file,
            .events = events_.load(std::memory_order_relaxed),
            .bytes = bytes_.load(std::memory_order_relaxed),
            .limit = config_.limit,
            .lost = lost_.load(std::memory_order_relaxed),
            .full = full_.load(std::memory_order_relaxed),
            .problem = problem_};
}

void Recorder::run() {
    pthread_setname_np(pthread_self(), "recorder");
    pollfd waiting{.fd = stop_.get(), .events = POLLIN, .revents = 0};
    while (true) {
        write_out();
        const bool stopped = poll(&waiting, 1, pause_ms) > 0;
        {
            const std::lock_guard lock(mutex_);
            collect();
        }
        if (stopped) break;
    }
    write_out();
}

void Recorder::collect() {
    for (auto source = sources_.begin(); source != sources_.end() && !ended_;) {
        // Before it is emptied, so that nothing comes behind that.
        const bool closed = source->queue->closed_.load(std::memory_order_acquire);
        drain(*source);
        if (ended_) return;
        if (closed)
            source = sources_.erase(source);
        else
            ++source;
    }
}

void Recorder::drain(Source& source) {
    TraceEntry entry;
    // Not more than there is room for, so that a flood does not keep us here.
    for (std::size_t i = 0; i < TraceQueue::size && source.queue->entries_.pop(entry); i++) {
        // Transports that are tried in vain begin chains that never decide.
        if (!source.chain) {
            if (chains_ == TraceReplay::chains_most)
                return end(fmt::format("it has {} chains already", chains_));
            source.chain = static_cast<std::uint16_t>(chains_++);
        }
        entry.chain = *source.chain;
        if (!append(trace_line(entry))) return;
        events_.store(events_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    const std::uint64_t lost = source.queue->entries_.lost();
    if (lost == source.lost) return;
    const std::uint64_t more = lost - std::exchange(source.lost, lost);
    lost_.store(lost_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    append(fmt::format("# {} events of chain {} are lost", more, source.chain.value_or(0)));
}

bool Recorder::append(const std::string& line) {
    const std::uint64_t bytes = bytes_.load(std::memory_order_relaxed) + line.size() + 1;
    if (bytes > config_.limit || events_.load(std::memory_order_relaxed) == trace_events_most) {
        end({});
        return false;
    }
    bytes_.store(bytes, std::memory_order_relaxed);
    buffer_ += line;
    buffer_ += '\n';
    return true;
}

// Without the lock: whoever asks for the status need not wait for a disk.
void Recorder::write_out() {
    std::string_view rest = buffer_;
    while (!rest.empty()) {
        const ssize_t written = write(file_.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            const std::string why =
                fail_errno(errno, fmt::format("cannot write to '{}'", config_.file)).value().message;
            // Half a line would be another event, or none.
            const std::string_view all = buffer_;
            const auto newline = all.substr(0, all.size() - rest.size()).rfind('\n');
            const std::size_t whole = newline == all.npos ? 0 : newline + 1;
            if (ftruncate(file_.get(), static_cast<off_t>(written_ + whole)))
                spdlog::warn("the last line of '{}' is not whole", config_.file);
            const std::lock_guard lock(mutex_);
            events_.fetch_sub(count_events(all.substr(whole)), std::memory_order_relaxed);
            bytes_.store(written_ + whole, std::memory_order_relaxed);
            end(why);
            buffer_.resize(whole);
            break;
        }
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    written_ += buffer_.size();
    buffer_.clear();
}

// Under the lock.
void Recorder::end(std::string problem) {
    // What cannot be written may be the last that the limit allowed.
    if (std::exchange(ended_, true) && problem.empty()) return;
    full_.store(problem.empty(), std::memory_order_relaxed);
    for (const Source& source : sources_) source.queue->on_.store(false, std::memory_order_relaxed);
    sources_.clear();
    problem_ = std::move(problem);
    if (problem_.empty())
        spdlog::info("the recording '{}' is full: nothing more is written", config_.file);
    else
        spdlog::error("nothing more is recorded until a reload: {}", problem_);
}

}  // namespace synward
