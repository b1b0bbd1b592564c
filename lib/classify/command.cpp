// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/classify/command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "lib/descriptor.h"

namespace synward {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds longest{15};
constexpr std::size_t most_output = 16 << 20;

struct Pipe {
    Descriptor read;
    Descriptor write;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) return fail_errno(errno, "cannot make a pipe");
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// Its input is a socket, so that one who does not read it costs no SIGPIPE.
Result<Pipe> make_input() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return fail_errno(errno, "cannot make a pair of sockets");
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

// Moves bytes until both outputs are closed. False: the time is over.
bool exchange(const std::string& input, Descriptor& in, std::array<Descriptor, 2>& from,
              std::array<std::string, 2>& text) {
    std::size_t sent = 0;
    const auto deadline = Clock::now() + longest;
    if (input.empty()) in.reset();
    while (from[0] || from[1]) {
        std::array<pollfd, 3> waiting{{{.fd = in ? in.get() : -1, .events = POLLOUT, .revents = 0},
                                       {.fd = from[0] ? from[0].get() : -1, .events = POLLIN, .revents = 0},
                                       {.fd = from[1] ? from[1].get() : -1, .events = POLLIN, .revents = 0}}};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        if (poll(waiting.data(), waiting.size(), static_cast<int>(left)) < 0 && errno != EINTR) return false;
        if (waiting[0].revents) {
            const ssize_t put =
                send(in.get(), input.data() + sent, input.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (put > 0) sent += static_cast<std::size_t>(put);
            if (sent == input.size() || (put < 0 && errno != EAGAIN && errno != EINTR)) in.reset();
        }
        for (unsigned i = 0; i < 2; i++) {
            if (!waiting[i + 1].revents) continue;
            std::array<char, 4096> buffer;
            const ssize_t got = read(from[i].get(), buffer.data(), buffer.size());
            if (got > 0 && text[i].size() < most_output)
                text[i].append(buffer.data(), static_cast<std::size_t>(got));
            if (got == 0 || (got < 0 && errno != EINTR)) from[i].reset();
        }
    }
    return true;
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& arguments, const std::string& input) {
    auto in = make_input();
    auto out = make_pipe();
    auto error = make_pipe();
    if (!in || !out || !error) return tl::unexpected((!in ? in.error() : !out ? out.error() : error.error()));
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in->read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out->write.get(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, error->write.get(), STDERR_FILENO);
    // The daemon blocks signals that it reads from a descriptor; the command shall not.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t pid = 0;
    const int failed = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed == ENOENT)
        return fail(ErrorCode::missing, fmt::format("there is no command {}", arguments[0]));
    if (failed) return fail_errno(failed, fmt::format("cannot run {}", arguments[0]));
    in->read.reset();
    out->write.reset();
    error->write.reset();
    std::array<Descriptor, 2> from{std::move(out->read), std::move(error->read)};
    std::array<std::string, 2> text;
    const bool in_time = exchange(input, in->write, from, text);
    if (!in_time) kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (!in_time)
        return fail(ErrorCode::system,
                    fmt::format("{} did not end within {} s", arguments[0], longest.count()));
    if (status == 0) return std::move(text[0]);
    return fail(ErrorCode::system,
                fmt::format("{} failed{}{}", arguments[0], text[1].empty() ? "" : ": ", trimmed(text[1])));
}

}  // namespace synward
