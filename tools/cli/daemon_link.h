// SPDX-License-Identifier: GPL-2.0-or-later
// A running synwardd, as the commands that work with and without one see it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/instance.h"
#include "lib/result.h"
#include "tools/cli/context.h"
#include "tools/cli/control_client.h"

namespace synward::cli {

class DaemonLink {
  public:
    // Without a daemon: a link that protects nothing. Any other failure to reach
    // it counts as no daemon too, since the maps can be reached without.
    explicit DaemonLink(const Context& context);

    [[nodiscard]] bool running() const { return client_.has_value(); }
    // {"daemon": ..., "interfaces": ..., "findings": ...}; null without a daemon.
    [[nodiscard]] const nlohmann::json& status() const { return status_; }
    [[nodiscard]] bool protects(const std::string& interface) const;
    [[nodiscard]] std::string config_path() const;

    // Changes the mode, and walks over the sockets: by the daemon where it
    // protects the interface, so that there is one writer, else here.
    Result<void> set_mode(Instance& instance, const std::string& service, sw_mode mode);
    // A fresh cookie key, likewise; as rotation_json() tells it, with the interface.
    Result<nlohmann::json> rotate_keys(Instance& instance);
    // After a set was changed: it comes to the driver hook, and to the marks of connections, at once.
    void set_changed(const std::string& name);
    // Waits for that, three seconds at most. Empty if the interface's hook goes by the sets as they
    // are, else why not.
    [[nodiscard]] std::string sets_problem(const std::string& interface);
    // After a policy was written: walks over the sockets if something is armed.
    Result<void> learn(Instance& instance);

  private:
    std::optional<ControlClient> client_;
    nlohmann::json status_;
    std::uint64_t awaited_ = 0;  // the latest change of a set
};

}  // namespace synward::cli
