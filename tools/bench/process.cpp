// SPDX-License-Identifier: GPL-2.0-or-later
#include "process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <sstream>
#include <stdexcept>

#include "bpf_object.h"

namespace synward::bench {

void run_command(const std::vector<std::string>& words, const std::string& input) {
    // memory files instead of pipes: nothing to drain
    const Fd in(memfd_create("stdin", MFD_CLOEXEC)), messages(memfd_create("stderr", MFD_CLOEXEC));
    if (!in || !messages ||
        write(in.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()) ||
        lseek(in.get(), 0, SEEK_SET) != 0)
        throw std::runtime_error(fmt::format("memfd_create: {}", strerror(errno)));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, messages.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, messages.get(), 2);
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    const std::string text = fmt::format("{}", fmt::join(words, " "));
    if (error != 0) throw std::runtime_error(fmt::format("cannot run '{}': {}", text, strerror(error)));
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    std::string said(static_cast<size_t>(lseek(messages.get(), 0, SEEK_END)), '\0');
    (void)!pread(messages.get(), said.data(), said.size(), 0);
    throw std::runtime_error(fmt::format("'{}' failed: {}", text, said));
}

void run_line(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    run_command(words);
}

}  // namespace synward::bench
