// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/cli/control_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>

namespace synward::cli {
namespace {

using namespace std::chrono_literals;
// A reload attaches programs, which takes seconds on a slow machine.
constexpr auto patience = 30s;

ErrorCode code_of(const std::string& word) {
    constexpr std::array<std::pair<std::string_view, ErrorCode>, 7> codes{
        {{"usage", ErrorCode::usage},
         {"config", ErrorCode::config},
         {"privilege", ErrorCode::privilege},
         {"busy", ErrorCode::busy},
         {"unsupported", ErrorCode::unsupported},
         {"missing", ErrorCode::missing},
         {"mismatch", ErrorCode::mismatch}}};
    for (const auto& [name, code] : codes)
        if (name == word) return code;
    return ErrorCode::system;
}

}  // namespace

Result<ControlClient> ControlClient::connect(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        return fail(ErrorCode::usage, fmt::format("the path of the control socket is too long: {}", path));
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket) return fail_errno(errno, "cannot make a socket");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address)) {
        if (errno == ECONNREFUSED || errno == ENOENT)
            return fail(
                ErrorCode::missing,
                fmt::format("no synwardd answers at {}; start it, or name its socket with --socket", path));
        return fail_errno(errno, fmt::format("cannot reach synwardd at {}", path));
    }
    return ControlClient(std::move(socket), path);
}

Result<nlohmann::json> ControlClient::read_line(std::optional<std::chrono::milliseconds> wait) {
    std::size_t searched = 0;
    for (;;) {
        if (const std::size_t end = buffer_.find('\n', searched); end != buffer_.npos) {
            auto line = nlohmann::json::parse(buffer_.substr(0, end), nullptr, false);
            buffer_.erase(0, end + 1);
            if (!line.is_object())
                return fail(ErrorCode::system, fmt::format("what answers at {} is not synwardd", path_));
            return line;
        }
        searched = buffer_.size();
        pollfd waiting{.fd = socket_.get(), .events = POLLIN};
        const int ready = poll(&waiting, 1, wait ? static_cast<int>(wait->count()) : -1);
        if (ready == 0)
            return fail(ErrorCode::system,
                        fmt::format("synwardd at {} does not answer; look at its log", path_));
        std::array<char, 16384> chunk;
        const ssize_t got = ready < 0 ? -1 : recv(socket_.get(), chunk.data(), chunk.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno(errno, fmt::format("cannot read from synwardd at {}", path_));
        if (got == 0)
            return fail(ErrorCode::missing, fmt::format("synwardd at {} closed the connection", path_));
        buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
}

Result<nlohmann::json> ControlClient::request(const nlohmann::json& request) {
    const std::string line = request.dump() + '\n';
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t put = send(socket_.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return fail_errno(errno, fmt::format("cannot ask synwardd at {}", path_));
        sent += static_cast<std::size_t>(put);
    }
    auto answer = read_line(patience);
    if (!answer) return answer;
    if (answer->value("ok", false)) return answer->value("result", nlohmann::json::object());
    const auto error = answer->value("error", nlohmann::json::object());
    return fail(code_of(error.value("code", "system")),
                error.value("message", "synwardd refused without a reason"));
}

Result<nlohmann::json> ControlClient::next() {
    return read_line(std::nullopt);
}

}  // namespace synward::cli
