// SPDX-License-Identifier: GPL-2.0-or-later
// Doubtful packets in the daemon: the transports and their workers, what they
// learn from, and what their decisions lead to. Lives on the control thread; the
// workers and the reader of the kernel's connections have threads of their own.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "daemon/event_loop.h"
#include "daemon/flow_sync.h"
#include "daemon/guard.h"
#include "daemon/log.h"
#include "daemon/recorder.h"
#include "daemon/timer.h"
#include "daemon/worker.h"
#include "lib/classify/backoff.h"
#include "lib/config.h"
#include "lib/decide/chain.h"
#include "lib/events.h"
#include "lib/sets/ipset.h"

namespace synward {

class Escalation {
  public:
    using Guards = std::vector<std::unique_ptr<Guard>>;
    using Sink = std::function<void(const nlohmann::json&)>;

    // `loop` and `guards` outlive this. `sink` gets what monitors shall see.
    Escalation(EventLoop& loop, const Guards& guards, Sink sink);
    Escalation(const Escalation&) = delete;
    Escalation& operator=(const Escalation&) = delete;
    ~Escalation();

    // Opens the transports and starts the workers if the config escalates
    // anything; again with another config, which keeps what was learned unless a
    // table changed its size. On an error nothing is asked: doubtful packets go on
    // to the kernel, within their budget, and it is tried again after ever longer
    // pauses.
    Result<void> configure(const Config& config);
    // Called, from then on, on another thread with TCP connections that conntrack forgot,
    // while flows_followed(). Before the first configure().
    void tell_flows(FlowFollower& follower) { follower_ = &follower; }
    [[nodiscard]] bool flows_followed() const { return flows_ != nullptr; }
    // Called with the name of a set after an entry of it was written.
    void on_set_changed(std::function<void(const std::string&)> told) { set_changed_ = std::move(told); }
    // The rule that brings packets to nfnetlink_queue: whether somebody took it away; makes it again.
    [[nodiscard]] bool queue_rule_missing() const;
    void restore_queue_rule();
    // The policy of an interface changed.
    void load_services();
    // A handshake or the shape of a SYN, as an interface reported it.
    void observe(const Guard& guard, const Event& event);

    [[nodiscard]] nlohmann::json status() const;
    [[nodiscard]] Result<Explanation> why(const Address& address) const;

  private:
    Result<void> start();
    // As record_ says; what runs already is added.
    void start_recording();
    void stop_recording();
    void record_observer();
    [[nodiscard]] nlohmann::json recording() const;
    [[nodiscard]] bool better_transport() const;
    void close();
    // Those that are not there.
    Result<void> open_workers();
    void set_module_policy(sw_ring_fail fail);
    void release_module();
    void try_again_later();
    void try_again();
    void take_actions();
    // What the workers want done by now.
    void take_waiting();
    void take(const WantedAction& wanted);
    void write_tickets();
    void add_to_set(const WantedAction& wanted);
    // False: it is there already.
    Result<bool> try_to_add(const WantedAction& wanted);
    void report(const WantedAction& wanted);
    // Empty where there is none.
    [[nodiscard]] std::string_view service_name(unsigned number) const;

    EventLoop& loop_;
    const Guards& guards_;
    Sink sink_;
    std::optional<KeySource> keys_;
    EscalationConfig escalation_;
    DecideConfig decide_;
    RecordConfig record_;
    std::unique_ptr<DecideShared> shared_;
    std::unique_ptr<Chain> observer_;  // for what needs no verdict
    std::unique_ptr<Recorder> recorder_;
    std::shared_ptr<TraceQueue> observed_;  // the observer's
    std::string recording_problem_;         // why there is no recorder
    std::unique_ptr<FlowSync> flows_;
    FlowFollower* follower_ = nullptr;
    std::function<void(const std::string&)> set_changed_;
    Descriptor notify_;
    EventLoop::Watch watch_ = 0;
    bool rule_ = false;  // the nfqueue rule is there
    std::vector<std::unique_ptr<Worker>> workers_;
    // By the numbers that the deciders know them by: those of the interface that
    // load_services() took them from.
    std::vector<std::string> services_;
    std::vector<Ticket> tickets_;  // to be written, by these numbers
    std::string transport_;
    std::string why_;           // this transport
    bool module_seen_ = false;  // when it was chosen
    std::string problem_;       // why there is none, or one less
    std::optional<Timer> retry_;
    Backoff backoff_;
    Backoff::Clock::time_point next_try_{};
    std::optional<Ipset> ipset_;
    LineLimit told_;
    std::uint64_t written_ = 0;
    std::uint64_t denied_ = 0;
    std::uint64_t kept_ = 0;    // sources that had an entry already
    std::uint64_t failed_ = 0;  // actions that could not be done
};

}  // namespace synward
