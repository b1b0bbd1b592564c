// SPDX-License-Identifier: GPL-2.0-or-later
// What services follow: what listens on this host (daemon.services = "listening"), and
// which addresses are local (those, and address = ["local"]).
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
#include "lib/local_addresses.h"

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

// Reads the sockets once a second, and the addresses when it is told to. One thread.
class Listeners {
  public:
    // `changed`: the services of some interface may be others now.
    [[nodiscard]] static Result<std::unique_ptr<Listeners>> create(EventLoop& loop,
                                                                   std::function<void()> changed);
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;

    // Begins or ends to follow, as the config says; then reads at once.
    void configure(const Config& config);
    // Addresses or interfaces have changed.
    void addresses_changed();

    // The config with services for what listens and can be reached by the interface, and
    // with what is local there; as it is where neither is followed.
    [[nodiscard]] Config effective(const Config& config, const std::string& interface);
    // What of that cannot be protected, in words.
    [[nodiscard]] std::vector<std::string> notes(const std::string& interface) const;

  private:
    explicit Listeners(std::function<void()> changed) : changed_(std::move(changed)) {}
    void pace();
    bool read_sockets();
    bool read_addresses();
    [[nodiscard]] LocalAddresses local(const std::string& interface) const;

    std::function<void()> changed_;
    std::optional<Timer> timer_;
    ListenerHistory history_;
    std::vector<std::string> interfaces_;
    std::map<std::string, LocalAddresses> local_;  // only while it is followed
    std::map<std::string, std::vector<std::string>> notes_;
    std::string problem_, address_problem_;     // already told
    bool sockets_ = false, addresses_ = false;  // followed
};

}  // namespace synward
