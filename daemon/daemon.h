// SPDX-License-Identifier: GPL-2.0-or-later
// synwardd: keeps the policy of a config file on its interfaces. One thread.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/classifier.h"
#include "daemon/control_server.h"
#include "daemon/escalation.h"
#include "daemon/event_loop.h"
#include "daemon/guard.h"
#include "daemon/link_monitor.h"
#include "daemon/listeners.h"
#include "daemon/metrics_server.h"
#include "daemon/mirror.h"
#include "daemon/signals.h"
#include "daemon/timer.h"
#include "lib/config.h"
#include "lib/preflight.h"

namespace synward {

struct DaemonOptions {
    std::string config_path;
    std::string control;    // empty: the config's
    std::string log_level;  // empty: the config's
    std::string version;
};

class Daemon {
  public:
    explicit Daemon(DaemonOptions options) : options_(std::move(options)) {}
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    // Until SIGTERM or SIGINT. What is in the kernel stays there.
    Result<void> run();

    // Reads the config again. On an error the old policy stays, on every interface.
    Result<void> reload();

    [[nodiscard]] const std::vector<std::unique_ptr<Guard>>& guards() const { return guards_; }
    [[nodiscard]] const Escalation& escalation() const { return *escalation_; }
    [[nodiscard]] const Classifier& classifier() const { return *classifier_; }
    [[nodiscard]] Mirror& mirror() const { return *mirror_; }
    [[nodiscard]] const std::vector<Finding>& findings() const { return findings_; }
    [[nodiscard]] const std::string& config_path() const { return options_.config_path; }
    [[nodiscard]] const std::string& version() const { return options_.version; }
    [[nodiscard]] const MetricsServer* metrics() const { return metrics_.get(); }
    [[nodiscard]] const std::string& metrics_problem() const { return metrics_problem_; }
    [[nodiscard]] const std::string& reload_error() const { return reload_error_; }
    [[nodiscard]] std::chrono::seconds uptime() const {
        return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_);
    }

  private:
    Result<void> start(EventLoop& loop);
    Result<void> protect_all();
    Result<void> load_new();
    void look_around();  // preflight
    void set_timers();
    void rotate_keys();
    void follow_sysctls();
    void escalate();
    void serve_metrics();
    void add_guard(const std::string& name);
    void link_changed(const std::string& name);
    void network_settled();
    void signal(int number);
    void report(const Guard& guard, const Event& event);
    [[nodiscard]] std::string summary() const;
    [[nodiscard]] std::string control_path() const;

    DaemonOptions options_;
    Config config_;
    std::vector<Finding> findings_;
    std::string reload_error_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    // The loop first: everything below watches something in it.
    std::optional<EventLoop> loop_;
    std::optional<Signals> signals_;
    std::unique_ptr<LinkMonitor> links_;
    std::optional<Timer> rotation_;
    std::optional<Timer> learning_;
    std::optional<Timer> tending_;
    std::optional<Timer> settings_;
    std::unique_ptr<ControlServer> control_;
    // Before the guards, who ask it.
    std::unique_ptr<Listeners> listeners_;
    std::vector<std::unique_ptr<Guard>> guards_;
    // Before the escalation, whose thread tells it what ended.
    std::unique_ptr<Classifier> classifier_;
    std::unique_ptr<Escalation> escalation_;
    // Tells the classifier what changed.
    std::unique_ptr<Mirror> mirror_;
    // Asks all of them.
    std::unique_ptr<MetricsServer> metrics_;
    std::string metrics_problem_;
};

}  // namespace synward
