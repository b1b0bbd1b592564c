// SPDX-License-Identifier: GPL-2.0-or-later
// daemon.services = "listening": what listens on this host, followed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/event_loop.h"
#include "daemon/timer.h"
#include "lib/config.h"
#include "lib/listeners.h"

namespace synward {

// What is believed to listen. A port that comes and goes (a test server, an FTP data
// connection) shall not change the policy each time. Pure.
class ListenerHistory {
  public:
    // Readings in a row that a new listener must be in, and that one which was believed
    // must be missing from.
    static constexpr unsigned come = 2;
    static constexpr unsigned gone = 5;

    // Whether what is believed has changed. The first reading is believed at once.
    bool update(const std::vector<Listener>& seen);
    // Sorted.
    [[nodiscard]] const std::vector<Listener>& believed() const { return believed_; }

  private:
    bool begun_ = false;
    std::vector<Listener> believed_;
    std::map<Listener, unsigned> doubts_;  // readings in a row that spoke against what is believed
};

// Reads the sockets and the interfaces' addresses once a second. One thread.
class Listeners {
  public:
    // `changed`: the services of some interface may be others now.
    [[nodiscard]] static Result<std::unique_ptr<Listeners>> create(EventLoop& loop,
                                                                   std::function<void()> changed);
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;

    // Begins or ends to follow, as the config says; then reads at once.
    void configure(const Config& config);
    [[nodiscard]] bool following() const { return following_; }

    // The config with services for what listens and can be reached by the interface;
    // as it is where listeners are not followed.
    [[nodiscard]] Config effective(const Config& config, const std::string& interface);

  private:
    explicit Listeners(std::function<void()> changed) : changed_(std::move(changed)) {}
    bool read();

    std::function<void()> changed_;
    std::optional<Timer> timer_;
    ListenerHistory history_;
    std::vector<std::string> interfaces_;
    std::map<std::string, LocalInterface> addresses_;
    std::map<std::string, std::vector<std::uint16_t>> unprotected_;  // already told
    std::string problem_;                                            // likewise
    bool following_ = false;
};

}  // namespace synward
