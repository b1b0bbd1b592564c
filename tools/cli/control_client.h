// SPDX-License-Identifier: GPL-2.0-or-later
// The client's side of synwardd's control socket; see daemon/control_server.h.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward::cli {

class ControlClient {
  public:
    // Code `missing` when no daemon is there.
    [[nodiscard]] static Result<ControlClient> connect(const std::string& path);

    // The answer's "result"; its "error" as an error.
    [[nodiscard]] Result<nlohmann::json> request(const nlohmann::json& request);
    // The next line of a stream; waits for ever. Code `missing` when the daemon closed it.
    [[nodiscard]] Result<nlohmann::json> next();

  private:
    ControlClient(Descriptor socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}
    Result<nlohmann::json> read_line(std::optional<std::chrono::milliseconds> patience);
    Descriptor socket_;
    std::string path_;
    std::string buffer_;
};

}  // namespace synward::cli
