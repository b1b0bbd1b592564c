// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/daemon.h"

#include <fmt/format.h>
#include <malloc.h>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>

#include "daemon/log.h"
#include "daemon/notifier.h"
#include "daemon/requests.h"
#include "lib/json.h"

namespace synward {
namespace {

template <typename T>
Result<void> keep(std::optional<T>& place, Result<T> made) {
    if (!made) return tl::unexpected(made.error());
    place.emplace(std::move(*made));
    return {};
}

// A changed sysctl is noticed within this time: nobody tells of it, and a dozen small files
// are quickly read.
constexpr std::chrono::seconds sysctl_interval{1};
constexpr std::chrono::seconds filter_interval{5};

bool lists(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string Daemon::control_path() const {
    return options_.control.empty() ? config_.daemon.control : options_.control;
}

Result<void> Daemon::run() {
    auto config = load_daemon_config(options_.config_path);
    if (!config) return tl::unexpected(config.error());
    config_ = std::move(*config);
    set_log_level(options_.log_level.empty() ? config_.daemon.log_level : options_.log_level);
    if (auto made = keep(loop_, EventLoop::create()); !made) return made;
    if (auto started = start(*loop_); !started) return started;
    notifier::ready(summary());
    spdlog::info("ready: {}", summary());
    auto result = loop_->run();
    notifier::stopping();
    for (const auto& guard : guards_) guard->leave();
    spdlog::info("ends; the kernel goes on enforcing the policy (`synward unload --all` takes it off)");
    return result;
}

Result<void> Daemon::start(EventLoop& loop) {
    if (auto made = keep(signals_, Signals::create(loop, [this](int number) { signal(number); })); !made)
        return made;
    // First of all: another daemon at the same socket must not be disturbed.
    auto control = ControlServer::create(loop, control_path(), [this](const nlohmann::json& request) {
        return answer_request(*this, request);
    });
    if (!control) return tl::unexpected(control.error());
    control_ = std::move(*control);
    // Before the interfaces are looked at, so that no change falls in between.
    auto links = LinkMonitor::create(
        loop, [this](const std::string& name) { link_changed(name); }, [this] { network_settled(); });
    if (!links) return tl::unexpected(links.error());
    links_ = std::move(*links);
    auto rotation = Timer::create(loop, [this] { rotate_keys(); });
    if (auto made = keep(rotation_, std::move(rotation)); !made) return made;
    auto learning = Timer::create(loop, [this] {
        for (const auto& guard : guards_) guard->learn(true);
    });
    if (auto made = keep(learning_, std::move(learning)); !made) return made;
    auto tending = Timer::create(loop, [this] {
        for (const auto& guard : guards_) guard->tend_filter();
    });
    if (auto made = keep(tending_, std::move(tending)); !made) return made;
    auto settings = Timer::create(loop, [this] { follow_sysctls(); });
    if (auto made = keep(settings_, std::move(settings)); !made) return made;

    escalation_ = std::make_unique<Escalation>(loop, guards_, [this](const nlohmann::json& event) {
        if (control_ && control_->has_subscribers()) control_->publish(event);
    });
    auto classifier = Classifier::create(
        loop, guards_,
        {.queue_rule_missing = [this] { return escalation_ && escalation_->queue_rule_missing(); },
         .restore_queue_rule = [this] { escalation_->restore_queue_rule(); },
         .flows_followed = [this] { return escalation_ && escalation_->flows_followed(); }});
    if (!classifier) return tl::unexpected(classifier.error());
    classifier_ = std::move(*classifier);
    escalation_->tell_flows(classifier_->flows());
    auto mirror = Mirror::start(loop, config_.daemon.object);
    if (!mirror) return tl::unexpected(mirror.error());
    mirror_ = std::move(*mirror);
    escalation_->on_set_changed([this](const std::string& name) { mirror_->report(name); });
    mirror_->on_change([this](std::shared_ptr<const SetIndex> index, const std::vector<Prefix>& changed) {
        classifier_->sets_changed(std::move(index), changed);
    });
    auto listeners = Listeners::create(loop, [this] {
        for (const auto& guard : guards_) guard->services_changed(config_);
        // The deciders know services by name.
        if (escalation_) escalation_->load_services();
    });
    if (!listeners) return tl::unexpected(listeners.error());
    listeners_ = std::move(*listeners);
    listeners_->configure(config_);
    look_around();
    for (const std::string& name : config_.daemon.interfaces) add_guard(name);
    if (auto done = protect_all(); !done) return done;
    mirror_->configure(config_, guards_);
    escalate();
    classifier_->configure(config_);
    set_timers();
    serve_metrics();
    return {};
}

// Nothing else depends on it, so a failure is told and the daemon goes on.
void Daemon::serve_metrics() {
    const auto& listen = config_.metrics.listen;
    if (metrics_ ? listen == metrics_->listen() : !listen) return;
    metrics_.reset();
    metrics_problem_.clear();
    if (!listen) return;
    auto server = MetricsServer::create(*loop_, *listen, [this] { return metrics_of(*this); });
    if (server) {
        metrics_ = std::move(*server);
        spdlog::info("metrics for Prometheus at http://{}/metrics", listen->to_string());
    } else {
        metrics_problem_ = server.error().message;
        log_error(metrics_problem_);
    }
}

// The interfaces are protected without it too: what is doubtful goes on to the kernel then.
void Daemon::escalate() {
    if (const auto done = escalation_->configure(config_); !done)
        log_error(fmt::format("doubtful packets are not asked about: {}", done.error().message));
}

// One interface that cannot be protected does not leave the others alone.
Result<void> Daemon::protect_all() {
    Error first;
    bool hope = false;
    for (const auto& guard : guards_) {
        const auto done = guard->protect(config_);
        if (done) {
            hope = true;
            continue;
        }
        if (first.message.empty())
            first = {fmt::format("{}: {}", guard->name(), done.error().message), done.error().code};
        if (guards_.size() > 1) log_error(fmt::format("{}: {}", guard->name(), done.error().message));
    }
    if (!hope) return tl::unexpected(first);
    return {};
}

void Daemon::add_guard(const std::string& name) {
    guards_.push_back(std::make_unique<Guard>(
        name, *loop_, [this](const Guard& guard, const Event& event) { report(guard, event); }));
    guards_.back()->follow(*listeners_);
}

void Daemon::look_around() {
    findings_ = preflight(config_);
    for (const Finding& finding : findings_) {
        const auto level = finding.severity == Severity::error     ? spdlog::level::err
                           : finding.severity == Severity::warning ? spdlog::level::warn
                                                                   : spdlog::level::info;
        spdlog::log(level, "{}: {}{}{}", finding.subject, finding.text, finding.fix.empty() ? "" : "; ",
                    finding.fix);
    }
    malloc_trim(0);
}

void Daemon::set_timers() {
    rotation_->every(config_.daemon.key_rotation);
    learning_->every(config_.daemon.learn_interval);
    tending_->every(filter_interval);
    settings_->every(sysctl_interval);
}

void Daemon::rotate_keys() {
    for (const auto& guard : guards_) {
        if (!guard->instance()) continue;
        if (const auto done = guard->rotate_keys(); !done)
            spdlog::error("{}: cannot rotate the cookie keys: {}", guard->name(), done.error().message);
    }
}

void Daemon::follow_sysctls() {
    Guard::Followed all;
    for (const auto& guard : guards_) {
        const auto one = guard->follow_sysctls(config_);
        all.sysctls |= one.sysctls;
        all.services |= one.services;
    }
    if (all.sysctls) look_around();
    if (!all.services) return;
    escalation_->load_services();
    classifier_->guards_changed();
    mirror_->follow(guards_);
}

Result<void> Daemon::reload() {
    notifier::reloading();
    auto done = load_new();
    reload_error_ = done ? std::string() : done.error().message;
    if (!done) {
        log_error(reload_error_);
        spdlog::error("reload failed; the old policy stays in force");
    }
    notifier::ready(done ? summary() : "reload failed, the old policy is in force: " + reload_error_);
    if (done) spdlog::info("reloaded: {}", summary());
    return done;
}

Result<void> Daemon::load_new() {
    auto config = load_daemon_config(options_.config_path);
    if (!config) return tl::unexpected(config.error());
    // All are compiled before the first is touched.
    std::vector<std::pair<Guard*, CompiledPolicy>> policies;
    for (const auto& guard : guards_) {
        if (!lists(config->daemon.interfaces, guard->name())) continue;
        auto policy = guard->compile(*config);
        if (!policy)
            return fail(policy.error().code, fmt::format("{}: {}: {}", options_.config_path, guard->name(),
                                                         policy.error().message));
        if (*policy) policies.emplace_back(guard.get(), std::move(**policy));
    }
    const Config old = std::exchange(config_, std::move(*config));
    listeners_->configure(config_);
    set_log_level(options_.log_level.empty() ? config_.daemon.log_level : options_.log_level);
    if (old.daemon.control != config_.daemon.control && options_.control.empty())
        spdlog::warn("daemon.control takes effect at the next start");
    for (const auto& [name, changed] : {std::pair{"flows", old.limits.flows != config_.limits.flows},
                                        std::pair{"sources", old.limits.sources != config_.limits.sources}})
        if (changed)
            spdlog::warn(
                "limits.{} takes effect when the program is loaded anew (synward unload, then start)", name);
    look_around();

    Error first;
    auto note = [&](const Guard& guard, const Result<void>& done) {
        if (done) return;
        const std::string message = fmt::format("{}: {}", guard.name(), done.error().message);
        log_error(message);
        if (first.message.empty()) first = {message, done.error().code};
    };
    for (auto& [guard, policy] : policies) note(*guard, guard->enforce(policy));
    for (const auto& guard : guards_)
        if (!lists(config_.daemon.interfaces, guard->name())) guard->release();
    std::erase_if(guards_,
                  [&](const auto& guard) { return !lists(config_.daemon.interfaces, guard->name()); });
    for (const std::string& name : config_.daemon.interfaces)
        if (std::none_of(guards_.begin(), guards_.end(), [&](const auto& g) { return g->name() == name; }))
            add_guard(name);
    for (const auto& guard : guards_)
        if (guard->state() != Guard::State::protecting) note(*guard, guard->protect(config_));
    mirror_->configure(config_, guards_);
    escalate();
    classifier_->configure(config_);
    set_timers();
    serve_metrics();
    if (!first.message.empty()) return tl::unexpected(first);
    return {};
}

void Daemon::link_changed(const std::string& name) {
    for (const auto& guard : guards_) {
        // A message about a renamed interface has its new name only.
        const bool renamed = guard->instance() &&
                             if_nametoindex(guard->name().c_str()) != guard->instance()->interface().index;
        if (name.empty() || guard->name() == name || renamed) guard->link_changed(config_);
    }
    // An interface that appears is the first whose services the deciders can know.
    if (escalation_) escalation_->load_services();
    if (classifier_) classifier_->guards_changed();
    if (mirror_) mirror_->follow(guards_);
}

void Daemon::network_settled() {
    if (!listeners_) return;
    for (const auto& guard : guards_) guard->surroundings_changed(config_);
    listeners_->addresses_changed();
    if (mirror_) mirror_->follow(guards_);
}

void Daemon::signal(int number) {
    if (number == SIGHUP)
        // Its error is in the log and in the status already.
        (void)reload();
    else
        loop_->stop();
}

void Daemon::report(const Guard& guard, const Event& event) {
    if (is_observation(event.type)) return escalation_->observe(guard, event);
    // `synward protect` may have changed what the deciders know of services.
    if (is_arming(event.type)) escalation_->load_services();
    if (!control_ || !control_->has_subscribers()) return;
    nlohmann::json json = event_json(event, &guard.policy());
    json["interface"] = guard.name();
    control_->publish(json);
}

std::string Daemon::summary() const {
    std::string text;
    for (const auto& guard : guards_)
        text +=
            fmt::format("{}{} {}", text.empty() ? "" : ", ", guard->name(), guard_state_name(guard->state()));
    return text;
}

}  // namespace synward
